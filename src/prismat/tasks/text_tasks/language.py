"""The unaligned rival: a run's text encoder, trained on its texts by masked language modelling alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from prismat.encoders.bpe_transformer import BpeTransformer
from prismat.encoders.masked_language import MaskedLanguageHead, MaskingConfig, masked_language_head
from prismat.errors import BadInputError
from prismat.files import digest
from prismat.objectives.base import Loss
from prismat.recipes.base import Job
from prismat.recipes.build import seed_everything
from prismat.recipes.serial import to_json
from prismat.tasks.quickstart import Talk
from prismat.text_reader import TokenReader
from prismat.training.distributed import World
from prismat.training.learner import Step
from prismat.training.loop import Outcome, Trainer
from prismat.training.session import Prepared
from prismat.training.text_bank import build_token_bank
from prismat.training.tracking import Tracker
from prismat.training.windows import TokenBank, ViewConfig

_VALIDATION_SEED = 1


class MaskedModel(nn.Module):
    """A transformer with the head that tells its hidden tokens."""

    def __init__(self, encoder: BpeTransformer, masking: MaskingConfig) -> None:
        super().__init__()
        self.encoder = encoder
        self.head: MaskedLanguageHead = masked_language_head(encoder, masking)


class LanguageLearner:
    """The gradient of masked language modelling over the texts of a store.

    Args:
        network: trained in place.
        bank: tokens of all texts.
        views: chance of each text.
    """

    world = World()

    def __init__(self, network: MaskedModel, bank: TokenBank, views: ViewConfig) -> None:
        self._network, self.bank, self.views = network, bank, views

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self._network

    def modules(self) -> dict[str, nn.Module]:
        """The network alone: nothing else is trained."""
        return {"model": self._network}

    def loss(self, rows: Int[np.ndarray, " n"], rng: np.random.Generator) -> torch.Tensor:
        """Mean cross-entropy (nats) of the tokens that were hidden."""
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        batch = self.bank.batch(rows, self.views, rng)
        return self._network.head(self._network.encoder, batch, generator)

    def backward(self, rows: Int[np.ndarray, " n"], rng: np.random.Generator, step: Step) -> Loss:
        """Adds the gradient of ``step.share`` × the loss."""
        self._network.train()
        loss = self.loss(rows, rng)
        (loss * step.share).backward()
        return Loss(loss.detach(), {"masked_language": float(loss.detach())})

    def reduce(self) -> None:
        """Nothing: there is one process."""

    def watch(self, score: float) -> tuple[dict[str, float], list[str]]:  # noqa: ARG002
        """Nothing beyond the loss."""
        return {}, []


def train_language_model(
    prepared: Prepared, job: Job, reader: TokenReader, folder: Path, talk: Talk = Talk()
) -> tuple[BpeTransformer, Outcome]:
    """The text encoder of a recipe, trained from the same seed with the same texts, steps, batches and rates.

    Args:
        prepared: the store and the split of the run.
        job: of the run.
        reader: its tokeniser.
        folder: of the checkpoint; a finished training is taken from there.
        talk: how progress is told.

    Raises:
        BadInputError: the recipe's text is not read by byte-pair tokens.
        MismatchError: the folder holds another job.
    """
    recipe = job.recipe
    if recipe.encoders.text.kind != "bpe":
        raise BadInputError("the recipe's text is not read by byte-pair tokens", field="recipe")
    views = ViewConfig(text=dict(recipe.views.text), strain=0.0)
    bank = build_token_bank(prepared.records, reader, views.text)
    seed_everything(job.train.seed)
    config = replace(recipe.encoders.text.bpe, vocab_size=reader.tokenizer.get_vocab_size())
    network = MaskedModel(BpeTransformer(config), recipe.masked_language or MaskingConfig())
    learner = LanguageLearner(network, bank, views)
    there = np.stack([t.present.numpy() for t in bank.tokens]).max(axis=0)
    rows = {part: found[there[found]] for part, found in prepared.rows.items()}
    train = replace(job.train, chunk=0, curriculum=(), optimizer=replace(job.train.optimizer, freeze=()))

    def validate(_: nn.Module) -> dict[str, float]:
        losses = [
            float(learner.loss(part, np.random.default_rng(_VALIDATION_SEED + i)))
            for i, part in enumerate(np.array_split(rows["val"], max(1, len(rows["val"]) // 256)))
        ]
        return {"masked_language": float(np.mean(losses)), "score": -float(np.mean(losses))}

    identity = digest(to_json(job), prepared.split.hash, reader.identity(), "masked language alone")
    outcome = Trainer(learner, rows["train"], train).fit(
        folder / "checkpoint",
        identity,
        validate,
        Tracker(folder, False),
        lambda done, total, entry: talk.bar("masked language alone", done, total, entry),
    )
    return network.encoder.eval(), outcome
