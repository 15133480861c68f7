"""Text encoders from Hugging Face: frozen with a trained head, or tuned as a whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.encoders.pretrained import DEFAULT_MODEL, Source, find_weights, load_weights
from prismat.errors import BadInputError
from prismat.files import digest
from prismat.modalities.chemistry_text import CHEMISTRY_WIDTH
from prismat.modalities.text import FrozenTextBatch, TokenBatch, clean_text, pad_tokens

Pooling = Literal["mean", "cls"]


def pool(
    hidden: Float[torch.Tensor, "batch tokens width"],
    mask: Bool[torch.Tensor, "batch tokens"],
    pooling: Pooling,
) -> Float[torch.Tensor, "batch width"]:
    """Mean over the tokens that are not padding, or the first token."""
    if pooling == "cls":
        return hidden[:, 0]
    weight = mask.to(hidden.dtype)[:, :, None]
    return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)


@dataclass(frozen=True)
class HuggingFaceConfig:
    """A transformer from Hugging Face and how its tokens become one vector.

    Attributes:
        model: ``owner/name`` on the hub, or a folder.
        pooling: ``mean`` over tokens or the first (``cls``) token.
        normalize: L2 normalisation of the vector.
        max_tokens: longer texts are cut.
        pretrained: False for the architecture with random weights, such as before a checkpoint is loaded.
    """

    model: str = DEFAULT_MODEL
    pooling: Pooling = "mean"
    normalize: bool = True
    max_tokens: int = 256
    pretrained: bool = True


class _TextTransformer:
    """Tokeniser and transformer of one configuration."""

    def __init__(self, config: HuggingFaceConfig) -> None:
        self.weights = find_weights(config.model)
        self.model, self.tokenizer = load_weights(self.weights, config.pretrained)
        positions = getattr(self.model.config, "max_position_embeddings", None) or config.max_tokens
        self.max_tokens = min(config.max_tokens, positions)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with special tokens, cut to the longest that the model takes."""
        cleaned = [clean_text(text) for text in texts]
        return (
            self.tokenizer(cleaned, truncation=True, max_length=self.max_tokens)["input_ids"]
            if cleaned
            else []
        )

    def batch(self, ids: Sequence[Sequence[int]], present: Sequence[bool]) -> TokenBatch:
        """Padded with the model's own padding token."""
        return pad_tokens(ids, present, self.tokenizer.pad_token_id or 0)


def _forward(
    model: nn.Module, batch: TokenBatch, config: HuggingFaceConfig
) -> Float[torch.Tensor, "batch width"]:
    hidden = model(input_ids=batch.ids, attention_mask=batch.mask.long()).last_hidden_state
    vectors = pool(hidden, batch.mask, config.pooling)
    return nn.functional.normalize(vectors, dim=1) if config.normalize else vectors


class FrozenSentenceEncoder:
    """Texts → embeddings of a transformer that is never trained (Reimers & Gurevych, EMNLP 2019).

    Attributes:
        weights: folder, source and hash of the weights in use, to label results with.
        width: length of an embedding.
        model_hash: hash of weights and settings, the key of an ``EmbeddingCache``.

    Raises:
        BadInputError: as ``find_weights``.
        MissingExtraError: transformers is not installed.
    """

    def __init__(
        self,
        config: HuggingFaceConfig = HuggingFaceConfig(),
        device: torch.device | str = "cpu",
        batch_size: int = 64,
    ) -> None:
        self.config, self.device, self.batch_size = config, torch.device(device), batch_size
        self._text = _TextTransformer(config)
        self._model = self._text.model.to(self.device).eval().requires_grad_(False)
        self.weights = self._text.weights
        self.width = int(self._model.config.hidden_size)
        settings = (config.pooling, config.normalize, self._text.max_tokens)
        self.model_hash = digest(self.weights.sha256, *settings)

    @property
    def source(self) -> Source:
        """Where the weights in use came from."""
        return self.weights.source

    @torch.inference_mode()
    def embed(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> Float[np.ndarray, "texts width"]:
        """Embeddings in the order of the texts, float32.

        Batches hold texts of like length, so that little padding is computed.

        Args:
            texts: any texts; an empty one gets the embedding of nothing.
            progress: called with (texts done, texts in all).
        """
        ids = self._text.ids(texts)
        order = np.argsort([-len(row) for row in ids], kind="stable")
        vectors = np.zeros((len(ids), self.width), np.float32)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = self._text.batch([ids[row] for row in rows], [True] * len(rows)).to(self.device)
            vectors[rows] = _forward(self._model, batch, self.config).cpu().numpy()
            if progress:
                progress(start + len(rows), len(order))
        return vectors


class HuggingFaceEncoder(nn.Module):
    """Tokens → (batch, width) through a transformer whose weights are all trained.

    Raises:
        BadInputError: as ``find_weights``.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, config: HuggingFaceConfig = HuggingFaceConfig()) -> None:
        super().__init__()
        self.config = config
        self._text = _TextTransformer(config)
        self.weights = self._text.weights
        self.transformer = self._text.model.train()

    @property
    def width(self) -> int:
        """Width of the output."""
        return int(self.transformer.config.hidden_size)

    def tokenize(self, texts: Sequence[str | None]) -> TokenBatch:
        """Token ids of the model's own tokeniser; None or an empty text counts as missing."""
        return self._text.batch(
            self._text.ids([text or "" for text in texts]), [bool(text) for text in texts]
        )

    def forward(self, batch: TokenBatch) -> Float[torch.Tensor, "batch width"]:
        """Text features, shape (batch, width)."""
        return _forward(self.transformer, batch, self.config)


@dataclass(frozen=True)
class TextHeadConfig:
    """Size of the trained part over frozen text features.

    Attributes:
        embedding: width of the sentence embedding; 0 leaves it out.
        chemistry: width of the element channel; 0 leaves it out.
        hidden: width of the sum and of the hidden layer.
        out: width of the output.
        dropout: on the sum and on the hidden layer.
    """

    embedding: int = 384
    chemistry: int = CHEMISTRY_WIDTH
    hidden: int = 512
    out: int = 256
    dropout: float = 0.1


class TextHead(nn.Module):
    """Sentence embedding and element channel → (batch, out).

    h = W_e LN(e) + W_c LN(c),  out = MLP(GELU(LN(h))): each part has its own scale and its own map, and the
    network after the sum lets them modulate one another.

    Raises:
        BadInputError: both parts are left out.
    """

    def __init__(self, config: TextHeadConfig = TextHeadConfig()) -> None:
        super().__init__()
        if not config.embedding and not config.chemistry:
            raise BadInputError(
                "a text head needs the embedding or the element channel", field="TextHeadConfig"
            )
        self.config = config
        self.embedding = _part(config.embedding, config.hidden)
        self.chemistry = _part(config.chemistry, config.hidden)
        self.net = nn.Sequential(
            nn.LayerNorm(config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.hidden),
            nn.LayerNorm(config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.out),
        )

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.config.out

    def forward(self, batch: FrozenTextBatch) -> Float[torch.Tensor, "batch out"]:
        """Text features, shape (batch, out)."""
        parts = [(self.embedding, batch.embedding), (self.chemistry, batch.chemistry)]
        return self.net(torch.stack([part(values) for part, values in parts if part is not None]).sum(dim=0))


def _part(width: int, hidden: int) -> nn.Module | None:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden)) if width else None
