"""Text encoders from Hugging Face: frozen, or tuned in whole or in part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import nn

from prismat.encoders.clasp_mlp import ClaspMlp, ClaspMlpConfig
from prismat.encoders.pretrained import DEFAULT_MODEL, Loaded, Source, find_weights, load_weights
from prismat.encoders.tuning import TuningConfig, tuned_rates
from prismat.errors import BadInputError
from prismat.files import digest
from prismat.modalities.text import TokenBatch, clean_text, pad_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Pooling = Literal["mean", "cls", "pooler"]


def pool(
    hidden: Float[torch.Tensor, "batch tokens width"],
    mask: Bool[torch.Tensor, "batch tokens"],
    pooling: Literal["mean", "cls"],
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
        model: ``owner/name`` on the hub, a folder, or ``minilm``, ``scibert`` or ``matscibert``.
        pooling: ``mean`` over tokens, the first (``cls``) token, or the model's own ``pooler``: a dense layer
            over the first token.
        normalize: L2 normalisation of the vector.
        max_tokens: longer texts are cut.
        pretrained: False for the architecture with random weights, such as before a checkpoint is loaded.
        substitute: the model used where ``model`` cannot be had; none where empty. Results name it.
        tuning: what ``HuggingFaceEncoder`` trains.
        clasp: CLaSP's perceptron over the vector, of ``HuggingFaceEncoder``; its input width is the model's.
    """

    model: str = DEFAULT_MODEL
    pooling: Pooling = "mean"
    normalize: bool = True
    max_tokens: int = 256
    pretrained: bool = True
    substitute: str = ""
    tuning: TuningConfig = TuningConfig()
    clasp: ClaspMlpConfig | None = None


class _TextTransformer:
    """Tokeniser and transformer of one configuration."""

    def __init__(self, config: HuggingFaceConfig) -> None:
        self.weights = find_weights(config.model, config.substitute)
        loaded = load_weights(self.weights, config.pretrained)
        if config.pooling == "pooler":
            _check_pooler(loaded, self.weights.model)
        self.model, self.tokenizer = loaded.model, loaded.tokenizer
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


@torch.no_grad()
def _check_pooler(loaded: Loaded, name: str) -> None:
    """Refuses a model whose pooler is absent or was never trained."""
    training, token = loaded.model.training, torch.zeros(1, 1, dtype=torch.long)
    output = loaded.model.eval()(input_ids=token, attention_mask=token + 1)
    loaded.model.train(training)
    if getattr(output, "pooler_output", None) is None or not loaded.has_pooler:
        raise BadInputError(
            f"{name} has no {'pooler' if loaded.has_pooler else 'weights for its pooler'}",
            field="pooling",
            remedy="Use mean or cls.",
        )


def _forward(
    model: nn.Module, batch: TokenBatch, config: HuggingFaceConfig
) -> Float[torch.Tensor, "batch width"]:
    output = model(input_ids=batch.ids, attention_mask=batch.mask.long())
    if config.pooling == "pooler":
        vectors = output.pooler_output
    else:
        vectors = pool(output.last_hidden_state, batch.mask, config.pooling)
    return nn.functional.normalize(vectors, dim=1) if config.normalize else vectors


class FrozenSentenceEncoder:
    """Texts → embeddings of a transformer that is never trained (Reimers & Gurevych, EMNLP 2019).

    Attributes:
        weights: folder, source and hash of the weights in use, to label results with.
        width: length of an embedding.
        model_hash: hash of weights and settings, the key of an ``EmbeddingCache``.

    Raises:
        BadInputError: as ``find_weights`` and ``load_weights``, or a pooler is asked for and there is none.
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
    """Tokens → (batch, width) through a transformer that is trained, or its upper layers are.

    What is not trained stays in evaluation mode: a frozen layer has no dropout.

    Raises:
        BadInputError: as ``find_weights``, ``load_weights`` and ``tuned_rates``, or a pooler is asked for and
            there is none.
        MissingExtraError: transformers is not installed.
    """

    def __init__(self, config: HuggingFaceConfig = HuggingFaceConfig()) -> None:
        super().__init__()
        self.config = config
        self._text = _TextTransformer(config)
        self.weights = self._text.weights
        self.transformer = self._text.model
        self._rates = tuned_rates(self.transformer, config.tuning, config.pooling == "pooler")
        for name, parameter in self.transformer.named_parameters():
            parameter.requires_grad_(name in self._rates)
        size = int(self.transformer.config.hidden_size)
        self.head = ClaspMlp(replace(config.clasp, embedding=size)) if config.clasp else None
        self.train()

    def train(self, mode: bool = True) -> "HuggingFaceEncoder":
        """Training mode of what is trained."""
        super().train(mode)
        for module in self.transformer.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self

    def learning_rates(self) -> dict[str, float]:
        """Share of the recipe's learning rate at which each pretrained parameter is trained, by name."""
        return {f"transformer.{name}": rate for name, rate in self._rates.items()}

    @property
    def width(self) -> int:
        """Width of the output."""
        return self.head.width if self.head else self.token_width

    @property
    def token_width(self) -> int:
        """Width of a token's vector."""
        return int(self.transformer.config.hidden_size)

    @property
    def token(self) -> nn.Embedding:
        """The table of the tokens' input embeddings."""
        return self.transformer.get_input_embeddings()  # ty: ignore[invalid-explicit-return]

    @property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The model's own tokeniser."""
        return self._text.tokenizer

    def tokenize(self, texts: Sequence[str | None]) -> TokenBatch:
        """Token ids of the model's own tokeniser; None or an empty text counts as missing."""
        return self._text.batch(
            self._text.ids([text or "" for text in texts]), [bool(text) for text in texts]
        )

    def tokens(self, batch: TokenBatch) -> Float[torch.Tensor, "batch tokens width"]:
        """Vectors of all tokens after the last layer, such as for masked language modelling."""
        return self.transformer(input_ids=batch.ids, attention_mask=batch.mask.long()).last_hidden_state

    def forward(self, batch: TokenBatch) -> Float[torch.Tensor, "batch width"]:
        """Text features, shape (batch, width)."""
        vectors = _forward(self.transformer, batch, self.config)
        return self.head(vectors, batch.present) if self.head else vectors
