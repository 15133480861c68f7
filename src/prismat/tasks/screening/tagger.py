"""Structures to ranked words: cosines, corrected for words that are near everything and for common ones.

z-score: a word's cosine against its mean and spread over training crystals. CSLS (Conneau et al., ICLR 2018,
equation 3): 2 cos(x, w) − r(w), with r the mean cosine of a word with its 10 nearest training crystals; the
term of the crystal is the same for all words. To either, and to the plain cosine, a multiple of the logarithm
of the word's share of training titles may be added. Which is used is chosen on validation records.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.files import replacing_folder, write_json
from prismat.model_files import read_object
from prismat.tasks.screening.prompts import PromptConfig, prompts_for, query_vectors
from prismat.tasks.screening.vocabulary import Vocabulary

Correction = Literal["cosine", "z-score", "csls"]
PRIORS = (0.0, 0.25, 0.5, 1.0, 2.0)
NEAREST = 10
FORMAT_VERSION = 1
_TINY = 1e-9


@dataclass(frozen=True)
class Choice:
    """How words are scored.

    Attributes:
        correction: of the cosine.
        prior: weight of the logarithm of a word's share of training titles.
    """

    correction: Correction = "z-score"
    prior: float = 0.0


CHOICES = tuple(Choice(c, p) for c in get_args(Correction) for p in PRIORS)
PLAIN = Choice("cosine", 0.0)


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the training crystals say of each word.

    Attributes:
        mean: cosine over them.
        spread: standard deviation over them.
        near: mean cosine of the nearest of them.
    """

    mean: Float[np.ndarray, " words"]
    spread: Float[np.ndarray, " words"]
    near: Float[np.ndarray, " words"]


@dataclass(frozen=True, eq=False)
class Tagger:
    """Words, their vectors, and how a crystal's cosines with them become scores.

    Attributes:
        vocabulary: the words.
        vectors: unit vectors of the words, shape (words, dim).
        statistics: of the words over training crystals.
        records: training records that the words were counted in.
        choice: how words are scored.
    """

    vocabulary: Vocabulary
    vectors: Float[np.ndarray, "words dim"]
    statistics: Statistics
    records: int
    choice: Choice = Choice()

    def cosines(self, structures: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n words"]:
        """Cosine of every structure with every word."""
        return structures.astype(np.float64) @ self.vectors.astype(np.float64).T

    def scores(
        self, structures: Float[np.ndarray, "n dim"], choice: Choice | None = None
    ) -> Float[np.ndarray, "n words"]:
        """Score of every word for every structure; only its order within a structure has a meaning."""
        choice, cosine, known = choice or self.choice, self.cosines(structures), self.statistics
        scale = float(np.sqrt(np.mean(known.spread**2))) + _TINY
        if choice.correction == "z-score":
            found = (cosine - known.mean) / (known.spread + _TINY)
        elif choice.correction == "csls":
            found = (2 * cosine - known.near) / scale
        else:
            found = cosine / scale
        return found + choice.prior * np.log((self.vocabulary.counts + 0.5) / (self.records + 1.0))

    def save(self, folder: Path, model_hash: str) -> None:
        """Writes words.json and words.safetensors."""
        arrays = {"vectors": self.vectors.astype(np.float32), **vars(self.statistics)}
        content = {
            "format_version": FORMAT_VERSION,
            "model_hash": model_hash,
            "records": self.records,
            "choice": {"correction": self.choice.correction, "prior": self.choice.prior},
            "words": [
                {"word": w, "count": int(n), "chemical": bool(c)}
                for w, n, c in zip(
                    self.vocabulary.words, self.vocabulary.counts, self.vocabulary.chemical, strict=True
                )
            ],
        }
        with replacing_folder(Path(folder)) as temporary:
            save_file(
                {k: np.ascontiguousarray(v) for k, v in arrays.items()}, temporary / "words.safetensors"
            )
            write_json(temporary / "words.json", content)


def load_tagger(folder: Path, model_hash: str) -> Tagger:
    """Reads what ``Tagger.save`` wrote.

    Raises:
        BadInputError: no tagger there, one of another model, or damaged files.
    """
    folder = Path(folder)
    if not (folder / "words.json").is_file():
        raise BadInputError(f"no words in {folder}", field="words", remedy="Run 'prismat tag' with --store.")
    content = read_object(folder / "words.json")
    try:
        if content["format_version"] != FORMAT_VERSION or content["model_hash"] != model_hash:
            raise BadInputError(
                f"{folder} holds words of another model", field="words", remedy="Remove the folder."
            )
        arrays = load_file(folder / "words.safetensors")
        rows = content["words"]
        vocabulary = Vocabulary(
            tuple(str(r["word"]) for r in rows),
            np.array([r["count"] for r in rows], dtype=np.int64),
            np.array([r["chemical"] for r in rows], dtype=bool),
        )
        statistics = Statistics(arrays["mean"], arrays["spread"], arrays["near"])
        return Tagger(
            vocabulary, arrays["vectors"], statistics, content["records"], Choice(**content["choice"])
        )
    except (KeyError, TypeError, ValueError, OSError, SafetensorError, json.JSONDecodeError) as error:
        raise BadInputError(
            f"{folder} is damaged ({type(error).__name__})", field="words", remedy="Remove the folder."
        ) from error


def word_statistics(
    words: Float[np.ndarray, "words dim"], crystals: Float[np.ndarray, "crystals dim"]
) -> Statistics:
    """Mean, spread and nearness of each word over training crystals."""
    cosine = words.astype(np.float64) @ crystals.astype(np.float64).T
    near = np.partition(cosine, -min(NEAREST, cosine.shape[1]), axis=1)[:, -NEAREST:]
    return Statistics(cosine.mean(axis=1), cosine.std(axis=1), near.mean(axis=1))


def top_metrics(
    scores: Float[np.ndarray, "n words"], own: Bool[np.ndarray, "n words"]
) -> Float[np.ndarray, "n 3"]:
    """Precision@5, precision@10 and recall@10 of each record's own words; equal scores in the words' order.

    Args:
        scores: of each word.
        own: the words that a record's texts hold, one at least.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    hit = np.take_along_axis(own, order, axis=1).astype(np.float64)
    recall = hit.sum(axis=1) / own.sum(axis=1)
    return np.stack([hit[:, :5].mean(axis=1), hit.mean(axis=1), recall], axis=1)


METRICS = ("precision@5", "precision@10", "recall@10")


def choose(
    tagger: Tagger,
    structures: Float[np.ndarray, "n dim"],
    own: Bool[np.ndarray, "n words"],
    columns: Int[np.ndarray, " some"] | None = None,
    choices: Sequence[Choice] = CHOICES,
) -> tuple[Choice, dict[str, float]]:
    """The way of scoring with the highest recall@10 on validation records, and what each reached.

    Args:
        tagger: words and statistics.
        structures: of validation records.
        own: the words that their texts hold.
        columns: the words that count; all where left out.
        choices: the first of equals is taken.

    Raises:
        BadInputError: no validation record has a word.
    """
    columns = np.arange(len(tagger.vocabulary)) if columns is None else columns
    known = own[:, columns].any(axis=1)
    if not known.any():
        raise BadInputError(
            "no validation record has a word of the vocabulary",
            field="vocabulary",
            remedy="Give more records.",
        )
    reached = {}
    for choice in choices:
        scores = tagger.scores(structures[known], choice)[:, columns]
        reached[choice] = float(top_metrics(scores, own[known][:, columns])[:, 2].mean())
    best = max(reached, key=lambda c: reached[c])
    return best, {f"{c.correction}, prior {c.prior:g}": value for c, value in reached.items()}


def embed_words(
    prismat: Prismat, words: Sequence[str], templates: Sequence[str]
) -> Float[np.ndarray, "words dim"]:
    """Unit vectors of words, each the mean over templates."""
    config = PromptConfig("none", tuple(templates))
    return query_vectors(prismat, [prompts_for(word, config) for word in words]).astype(np.float32)
