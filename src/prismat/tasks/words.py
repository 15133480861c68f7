"""Zero-shot screening by words: do the crystals whose titles hold a word stand nearest to the word itself?

The protocol of CLaSP (Suzuki et al., 2024, section 4.1): the embedding of a word alone is the query, all
structures are the gallery, and a structure is right if the title of its publication has the word or a
variation of it. A title names what its authors found remarkable, not all that holds, so that figures serve to
compare models.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.modalities.chemical_words import fold
from prismat.tasks.embedding import embed_rows
from prismat.training.windows import StoreData

WORDS: dict[str, tuple[str, ...]] = {
    "superconductor": ("superconductivity", "superconducting", "superconductive", "supraconducteur"),
    "magnetic": (
        *(
            "magnetism",
            "magnetization",
            "ferromagnetic",
            "ferrimagnetic",
            "antiferromagnetic",
            "paramagnetic",
        ),
        *(
            "ferromagnetism",
            "antiferromagnetism",
            "magnetique",
            "magnetisch",
            "magnetische",
            "magnetoelectric",
        ),
    ),
    "ferroelectric": ("ferroelectricity", "antiferroelectric", "ferroelektrisch", "ferroelectrique"),
    "high pressure": ("high pressures", "higher pressures", "hochdruck", "haute pression"),
    "thermal expansion": ("thermische ausdehnung", "dilatation thermique"),
    "phase transition": ("phase transformation", "structural transition", "transition de phase"),
    "cation ordering": (
        *("cation order", "cation disorder", "cation disordering", "cation distribution", "order disorder"),
        *("cation order disorder", "cation partitioning"),
    ),
    "perovskite": ("perovskitic", "perovskit", "perowskit"),
    "spinel": ("spinelle", "thiospinel", "ferrospinel", "spinell"),
    "garnet": ("granat", "grenat", "garnetoid"),
    "pyrochlore": ("pyrochlor",),
    "silicate": ("orthosilicate", "disilicate", "metasilicate", "aluminosilicate", "silikat"),
}
"""Words with variations: functions, behaviour and families, each in 20 AMCSD training titles or more."""


@dataclass(frozen=True)
class WordScore:
    """How well one word finds its crystals.

    Attributes:
        positives: structures whose title has the word.
        roc_auc: chance that one of them scores above one of the others.
        average_precision: mean precision over them, at the shares that there are.
        balanced_average_precision: the same as if there were as many right as wrong structures.
    """

    positives: int
    roc_auc: float
    average_precision: float
    balanced_average_precision: float


@dataclass(frozen=True)
class WordScores:
    """Scores of several words over one gallery.

    Attributes:
        words: by word.
        structures: size of the gallery.
        left_out: words that no title, or every title, has: nothing can be said of them.
    """

    words: dict[str, WordScore]
    structures: int
    left_out: tuple[str, ...] = ()

    @property
    def mean_roc_auc(self) -> float:
        """Mean over the words; 0.5 by chance."""
        return float(np.mean([s.roc_auc for s in self.words.values()]))

    @property
    def mean_average_precision(self) -> float:
        """Mean over the words; by chance the mean share of right structures."""
        return float(np.mean([s.average_precision for s in self.words.values()]))

    @property
    def mean_balanced_average_precision(self) -> float:
        """Mean over the words; about 0.5 by chance."""
        return float(np.mean([s.balanced_average_precision for s in self.words.values()]))

    def to_dict(self) -> dict:
        """In JSON types, means included."""
        means = {
            "roc_auc": self.mean_roc_auc,
            "average_precision": self.mean_average_precision,
            "balanced_average_precision": self.mean_balanced_average_precision,
        }
        words = {word: asdict(score) for word, score in self.words.items()}
        return {"mean": means, "words": words, "structures": self.structures, "left_out": list(self.left_out)}


def word_labels(
    texts: Sequence[str], word: str, variations: Sequence[str] = ()
) -> Bool[np.ndarray, " texts"]:
    """Which texts have a word, or a variation of it, as a whole word.

    Case, accents, and whether parts are joined by a space or a hyphen do not matter, nor does the plural;
    what follows a hyphen is another word (``perovskite-type``).

    Args:
        texts: titles.
        word: one or several words.
        variations: other forms that count.

    Raises:
        BadInputError: a form without a letter.
    """
    forms = [re.split(r"[\s-]+", fold(form).strip()) for form in (word, *variations)]
    if not all(any(c.isalpha() for c in "".join(form)) for form in forms):
        raise BadInputError(f"word {word!r} has a form without a letter", field="words", remedy="Name words.")
    joined = "|".join(r"[\s\-‐–]+".join(map(re.escape, form)) for form in forms)
    pattern = re.compile(rf"(?<!\w)(?:{joined})(?:s|es)?(?!\w)")
    return np.array([pattern.search(fold(text)) is not None for text in texts], dtype=bool)


def word_scores(
    word_vectors: Float[np.ndarray, "words dim"], structure_vectors: Float[np.ndarray, "structures dim"]
) -> Float[np.ndarray, "words structures"]:
    """Cosines of unit vectors: each word against each structure."""
    return word_vectors @ structure_vectors.T


def roc_auc(scores: Float[np.ndarray, " items"], labels: Bool[np.ndarray, " items"]) -> float:
    """Area under the receiver operating characteristic, from rank sums; a tie counts one half.

    AUC = (Σ ranks of the positives − P(P + 1)/2) / (P N), the Mann-Whitney statistic (Hanley & McNeil,
    Radiology 143, 29, 1982).

    Raises:
        BadInputError: no positive or no negative.
    """
    positives, negatives = _counts(labels)
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(scores: Float[np.ndarray, " items"], labels: Bool[np.ndarray, " items"]) -> float:
    """Σ (R_n − R_{n−1}) P_n over the distinct scores from above; items of one score come in together.

    Raises:
        BadInputError: no positive or no negative.
    """
    return _average_precision(scores, labels, 1.0)


def balanced_average_precision(
    scores: Float[np.ndarray, " items"], labels: Bool[np.ndarray, " items"]
) -> float:
    """Average precision where all negatives together weigh as much as all positives.

    CLaSP draws as many negatives as there are positives; weights take all of them and need no draw.

    Raises:
        BadInputError: no positive or no negative.
    """
    positives, negatives = _counts(labels)
    return _average_precision(scores, labels, positives / negatives)


def _average_precision(scores: np.ndarray, labels: np.ndarray, negative: float) -> float:
    """Average precision where a negative weighs ``negative`` and a positive 1."""
    positives, _ = _counts(labels)
    order = np.argsort(-scores, kind="stable")
    is_last = np.append(np.diff(scores[order]) != 0, True)
    right = np.cumsum(labels[order])[is_last]
    wrong = negative * np.cumsum(~labels[order])[is_last]
    gained = np.diff(right, prepend=0) / positives
    return float((gained * right / (right + wrong)).sum())


def _counts(labels: Bool[np.ndarray, " items"]) -> tuple[int, int]:
    positives = int(labels.sum())
    if not 0 < positives < len(labels):
        raise BadInputError(
            f"{positives} of {len(labels)} labels are positive",
            field="labels",
            remedy="A score needs both positives and negatives.",
        )
    return positives, len(labels) - positives


def evaluate_words(
    prismat: Prismat,
    data: StoreData,
    rows: Int[np.ndarray, " n"],
    titles: Sequence[str],
    words: Mapping[str, Sequence[str]] = WORDS,
) -> WordScores:
    """Screens the structures of some rows by words.

    Args:
        prismat: a model with structure and text, of either kind of heads.
        data: windows of the store.
        rows: the held-out rows; those without a structure or a title are passed over.
        titles: of these rows, in their order.
        words: variations by word. The prompt is the word alone.

    Raises:
        BadInputError: the model lacks a window, titles and rows differ in number, or no word can be scored.
    """
    _check(prismat, rows, titles)
    vectors, present = embed_rows(prismat, data, rows, ["structure"])
    key = prismat.key("structure", "text")
    kept = present[key] & np.array([bool(title.strip()) for title in titles], dtype=bool)
    known = [title for title, keep in zip(titles, kept, strict=True) if keep]
    labels = {word: word_labels(known, word, others) for word, others in words.items()}
    scored = [word for word, label in labels.items() if 0 < label.sum() < len(label)]
    if not scored:
        raise BadInputError(
            f"none of {len(words)} words tells {len(known)} titles apart",
            field="words",
            remedy="Give others.",
        )
    queries = prismat.embed(texts=scored)[prismat.key("text", "structure")]
    cosines = word_scores(queries, vectors[key][kept])
    found = {word: _score(row, labels[word]) for word, row in zip(scored, cosines, strict=True)}
    return WordScores(found, len(known), tuple(word for word in words if word not in found))


def _check(prismat: Prismat, rows: np.ndarray, titles: Sequence[str]) -> None:
    """Refuses a model that cannot answer, and titles that are not those of the rows."""
    if absent := [w for w in ("structure", "text") if w not in prismat.recipe.windows]:
        raise BadInputError(
            f"this model has no {absent[0]} window",
            field="words",
            remedy=f"It has {', '.join(prismat.recipe.windows)}.",
        )
    if len(rows) != len(titles):
        raise BadInputError(
            f"{len(titles)} titles for {len(rows)} rows", field="titles", remedy="Give one title per row."
        )


def _score(scores: Float[np.ndarray, " structures"], labels: Bool[np.ndarray, " structures"]) -> WordScore:
    return WordScore(
        positives=int(labels.sum()),
        roc_auc=roc_auc(scores, labels),
        average_precision=average_precision(scores, labels),
        balanced_average_precision=balanced_average_precision(scores, labels),
    )
