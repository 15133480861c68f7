"""Fits a head to an encoder's features, or trains both, and asks about the test part."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from prismat.files import digest
from prismat.heads.config import FitConfig, HeadConfig
from prismat.heads.features import Features
from prismat.heads.fit import fit_head
from prismat.heads.network import Head
from prismat.recipes.build import seed_everything
from prismat.recipes.serial import to_json
from prismat.tasks.quickstart import Talk
from prismat.tasks.text_tasks.bag import WordWindows
from prismat.tasks.text_tasks.encoders import Rivals
from prismat.tasks.text_tasks.networks import TEXT, Featured, TextClassifier, TokenTagger, WindowTagger
from prismat.tasks.text_tasks.pieces import PieceBatch, Pieces
from prismat.tasks.text_tasks.settings import TextTaskConfig
from prismat.tasks.tuning import class_probabilities, tune

CHUNK = 64

Parts = dict[str, Int[np.ndarray, " part"]]


@dataclass(frozen=True, eq=False)
class Outputs:
    """The classes of what is told of every text: one of the text, or one of each word.

    Attributes:
        of: class of every output, of all texts in order.
        counts: outputs of each text.
        classes: how many classes there are.
    """

    of: Int[np.ndarray, " outputs"]
    counts: Int[np.ndarray, " texts"]
    classes: int

    def places(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " outputs"]:
        """Where the outputs of some texts stand."""
        first = np.cumsum(self.counts) - self.counts
        return np.concatenate([np.arange(first[r], first[r] + self.counts[r]) for r in rows])


@dataclass(frozen=True, eq=False)
class TextExamples:
    """Texts with the classes of their outputs, as :func:`prismat.tasks.tuning.tune` reads them.

    Attributes:
        inputs: of the network.
        outputs: what it should tell.
    """

    inputs: Pieces | WordWindows
    outputs: Outputs

    def batch(self, rows: Int[np.ndarray, " n"], rng: np.random.Generator | None) -> object:  # noqa: ARG002
        """Some texts; there are no training views."""
        return self.inputs.take(rows)

    def wanted(self, rows: Int[np.ndarray, " n"]) -> Int[torch.Tensor, " outputs"]:
        """Their classes."""
        return torch.from_numpy(self.outputs.of[self.outputs.places(rows)])


def network_of(encoder: nn.Module, config: TextTaskConfig, classes: int) -> TextClassifier | TokenTagger:
    """Encoder and fresh head."""
    kind = TextClassifier if config.task == "classify" else TokenTagger
    seed_everything(config.train.seed)
    return kind(encoder, Head(config.head, {TEXT: encoder.width}, classes))  # ty: ignore[invalid-argument-type]


def piece_features(
    network: Featured, pieces: Pieces, talk: Talk = Talk(), stage: str = ""
) -> Float[np.ndarray, "outputs width"]:
    """What the head of a network reads, of all texts."""
    found = []
    rows = np.arange(len(pieces))
    with torch.inference_mode():
        for start in range(0, len(rows), CHUNK):
            batch: PieceBatch = pieces.take(rows[start : start + CHUNK])
            found.append(network.features(batch).float().numpy())
            if stage:
                talk.bar(stage, min(start + CHUNK, len(rows)), len(rows), {})
    return np.concatenate(found)


def frozen_probabilities(
    vectors: Float[np.ndarray, "outputs width"],
    outputs: Outputs,
    parts: Parts,
    head: HeadConfig,
    fit: FitConfig,
) -> Float[np.ndarray, "test classes"]:
    """A head on features that do not change, chosen on val."""
    features = Features({TEXT: vectors}, {TEXT: np.ones(len(vectors), dtype=bool)})
    place = {part: outputs.places(rows) for part, rows in parts.items()}
    fitted = fit_head(
        features, outputs.of, place["train"], place["val"], head, fit, "cross_entropy", outputs.classes
    )
    return fitted.predict(features.take(place["test"]))


def tuned_probabilities(
    encoder: nn.Module,
    pieces: Pieces,
    outputs: Outputs,
    parts: Parts,
    config: TextTaskConfig,
    folder: Path,
    talk: Talk = Talk(),
) -> Float[np.ndarray, "test classes"]:
    """Encoder and head trained together, weights chosen on val; the encoder is changed in place."""
    network = network_of(encoder, config, outputs.classes)
    network.eval()
    before = torch.from_numpy(piece_features(network, pieces)[outputs.places(parts["train"])])
    network.head.standardise({TEXT: before}, {TEXT: torch.ones(len(before), dtype=torch.bool)})
    return _tuned(network, TextExamples(pieces, outputs), parts, config, folder, talk)


def window_probabilities(
    windows: WordWindows,
    outputs: Outputs,
    parts: Parts,
    config: TextTaskConfig,
    folder: Path,
    talk: Talk = Talk(),
) -> Float[np.ndarray, "test classes"]:
    """The baseline of tagging: a linear model of the words around."""
    network = WindowTagger(windows.vocabulary, outputs.classes)
    return _tuned(network, TextExamples(windows, outputs), parts, config, folder, talk, rate=20.0)


def _tuned(
    network: nn.Module,
    examples: TextExamples,
    parts: Parts,
    config: TextTaskConfig,
    folder: Path,
    talk: Talk,
    rate: float = 1.0,
) -> Float[np.ndarray, "test classes"]:
    seed_everything(config.train.seed)
    optimizer = config.train.optimizer
    # Tables of a linear model start from zero and see each word seldom: they take larger steps.
    train = replace(config.train, optimizer=replace(optimizer, learning_rate=rate * optimizer.learning_rate))
    weights = [p.detach().numpy().tobytes().hex()[:64] for p in network.parameters()]
    rows = [digest(parts[p].tolist()) for p in sorted(parts)]
    identity = digest(to_json(config), rows, weights, examples.outputs.of.tolist())
    told = lambda done, total, entry: talk.bar(folder.name, done, total, entry)  # noqa: E731
    tune(network, examples, parts, train, folder, identity, told)
    return class_probabilities(network, examples, parts["test"])


def token_probabilities(
    parts: Parts,
    outputs: Outputs,
    rivals: Rivals,
    pieces: Pieces,
    config: TextTaskConfig,
    folder: Path,
    talk: Talk = Talk(),
) -> dict[str, Float[np.ndarray, "test classes"]]:
    """Probabilities of the classes of the test outputs by every encoder that reads tokens.

    Args:
        parts: numbers of the texts of train, val and test.
        outputs: what should be told.
        rivals: the encoders.
        pieces: the texts.
        config: of the task.
        folder: of checkpoints, where encoders are tuned.
        talk: how progress is told.
    """
    said = {}
    for name, encoder in rivals.encoders.items():
        if config.mode == "tuned":
            own = folder / name.replace(" ", "_")
            said[name] = tuned_probabilities(encoder, pieces, outputs, parts, config, own, talk)
        else:
            network = network_of(encoder, config, outputs.classes).eval()
            vectors = piece_features(network, pieces, talk, name)
            said[name] = frozen_probabilities(vectors, outputs, parts, config.head, config.fit)
    return said
