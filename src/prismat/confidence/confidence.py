"""What was calibrated for a model: loads, saves, and tells how far an answer can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from prismat.confidence.conformal import Calibration, Nonconformity
from prismat.confidence.direction import CROWDING, DirectionConfidence
from prismat.confidence.fits import fit_from_json
from prismat.confidence.gallery import Direction, Facts
from prismat.confidence.likelihood import log_probabilities
from prismat.confidence.match import MatchModel, find_candidates
from prismat.confidence.next_measurement import Recommendation, Windows, recommend
from prismat.confidence.openset import OpenSet, signals
from prismat.errors import BadInputError, MismatchError, VersionError
from prismat.files import replacing, sha256, write_json
from prismat.model_files import damaged, read_object
from prismat.tasks.quality.classes import SYSTEMS

FORMAT_VERSION = 1
Scores = Float[np.ndarray, " entries"]


@dataclass(frozen=True, eq=False)
class CandidateSet:
    """Entries among which the right one is with probability 1 − α.

    Attributes:
        columns: of the gallery, best first; the best entry is always among them.
        alpha: share of queries whose answer may be missed.
        note: groups that were too small for a threshold of their own, or that the set is the whole gallery.
    """

    columns: Int[np.ndarray, " entries"]
    alpha: float
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether the right entry is missing from the gallery.

    Attributes:
        probability: that it is, were that as likely as not before.
        is_flagged: whether 'none of these' is said.
    """

    probability: float
    is_flagged: bool


@dataclass(frozen=True, eq=False)
class Confidence:
    """Calibration of one model on one gallery.

    Attributes:
        model_hash: of the model.
        store_hash: of the store whose records are the gallery.
        directions: by name, such as ``xrd->structure``.
        left_out: directions that could not be calibrated, with the reason.
    """

    model_hash: str
    store_hash: str
    directions: Mapping[str, DirectionConfidence]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def of(self, direction: str) -> DirectionConfidence:
        """Calibration of one direction.

        Raises:
            BadInputError: it was not calibrated.
        """
        if direction not in self.directions:
            raise BadInputError(
                f"{direction} was not calibrated",
                field="direction",
                remedy=f"Use one of {', '.join(self.directions) or 'none'}.",
            )
        return self.directions[direction]

    def probabilities(
        self, scores: Scores, direction: str, k: int = 10
    ) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """The k best entries and the probability that each is the right one, were it in the gallery.

        Args:
            scores: of the whole gallery.
            direction: such as ``xrd->structure``.
            k: entries wanted.

        Raises:
            BadInputError: an unknown direction, or scores that are not finite.
        """
        own, checked = self.of(direction), _checked(scores)
        found = find_candidates(checked, own.temperature, k)
        return found.columns[0], own.match(found.features)[0]

    def conformal_set(
        self,
        scores: Scores,
        alpha: float,
        direction: str,
        group: str | None = None,
        systems: Int[np.ndarray, " entries"] | None = None,
    ) -> CandidateSet:
        """The entries that hold the right one with probability 1 − α, best first.

        Args:
            scores: of the whole gallery.
            alpha: share that may be missed.
            direction: such as ``xrd->structure``.
            group: ``crowding`` for a threshold by how crowded the gallery is around the query,
                ``crystal system`` for one by each candidate's; None for one threshold.
            systems: crystal system of every entry, 0 to 6, for that grouping.

        Raises:
            BadInputError: an unknown direction or grouping, α outside (0, 1), or scores that are not finite.
        """
        own, checked = self.of(direction), _checked(scores)
        limits, pooled = own.thresholds(checked, alpha, group, systems)
        order = np.argsort(-scores, kind="stable")
        values = own.nonconformity.along(checked[:, order])[0]
        limit = limits[0][order] if limits.shape[1] > 1 else limits[0]
        names = CROWDING if group == "crowding" else SYSTEMS
        small = ", ".join(names[n] if n >= 0 else "unknown" for n in pooled)
        note = f"too few calibration groups: {small}; the pooled threshold was used" if pooled else ""
        if np.isinf(limits).all():
            note = "too few calibration groups for this alpha: the set is the whole gallery"
        inside = values <= limit
        # The best entry stays: that can only raise the coverage.
        inside[0] = True
        return CandidateSet(order[inside], alpha, note)

    def none_of_these(self, scores: Scores, direction: str) -> Verdict:
        """Whether the right entry is missing from the gallery.

        Raises:
            BadInputError: an unknown direction, fewer than two entries, or scores that are not finite.
        """
        own = self.of(direction).open_set
        probability = float(own(signals(_checked(scores), self.of(direction).temperature))[0])
        return Verdict(probability, probability > own.limit)

    def next_measurement(
        self, scores: Scores, direction: str, windows: Windows, facts: Facts
    ) -> list[Recommendation]:
        """Further measurements by expected information, the best first.

        Args:
            scores: of the whole gallery.
            direction: such as ``xrd->structure``.
            windows: further windows of the entries, see ``further_windows``.
            facts: about the entries.

        Raises:
            BadInputError: an unknown direction, or scores that are not finite.
        """
        log_p = log_probabilities(_checked(scores), self.of(direction).temperature)[0]
        return recommend(log_p, windows, facts)

    def save(self, folder: Path) -> None:
        """Writes confidence.safetensors, then confidence.json, which names its hash."""
        arrays = {
            f"{name}/{taxonomy}/{part}": np.ascontiguousarray(getattr(calibration, part))
            for name, own in self.directions.items()
            for taxonomy, calibration in own.calibrations.items()
            for part in ("values", "clusters", "groups")
        }
        tensors = Path(folder) / "confidence.safetensors"
        with replacing(tensors) as temporary:
            save_file(arrays, temporary)
        content = {
            "format_version": FORMAT_VERSION,
            "model_hash": self.model_hash,
            "store_hash": self.store_hash,
            "left_out": dict(self.left_out),
            "sha256": sha256(tensors),
            "directions": {name: _plain(own) for name, own in self.directions.items()},
        }
        write_json(tensors.with_suffix(".json"), content)

    @classmethod
    def load(cls, folder: str | Path, model_hash: str | None = None) -> "Confidence":
        """Reads what ``save`` wrote.

        Args:
            folder: such as ``RUN/confidence``.
            model_hash: of the model whose scores will be judged; unchecked where None.

        Raises:
            BadInputError: nothing there, or its files are damaged.
            MismatchError: calibrated for another model.
            VersionError: another format version.
        """
        path = Path(folder) / "confidence.json"
        if not path.is_file():
            raise BadInputError(f"no calibration in {folder}", remedy="Make one: prismat calibrate.")
        content = read_object(path)
        if content.get("format_version") != FORMAT_VERSION:
            raise VersionError(f"{path} has another format version. Run 'prismat calibrate' again.")
        if model_hash is not None and content.get("model_hash") != model_hash:
            raise MismatchError(f"{folder} was calibrated for another model. Run 'prismat calibrate' again.")
        tensors = path.with_name("confidence.safetensors")
        try:
            if sha256(tensors) != content["sha256"]:
                raise damaged(tensors)
            arrays = load_file(tensors)
            own = {name: _direction(name, c, arrays) for name, c in content["directions"].items()}
            return cls(content["model_hash"], content["store_hash"], own, content["left_out"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise damaged(path) from error


def _checked(scores: Scores) -> Float[np.ndarray, "1 entries"]:
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all():
        raise BadInputError(
            f"scores of shape {scores.shape}",
            field="scores",
            remedy="Give a finite score for every entry, two at least.",
        )
    return scores[None]


def _plain(own: DirectionConfidence) -> dict:
    match, found = own.match, own.nonconformity
    return {
        "entries": own.entries,
        "temperature": own.temperature,
        "match": {
            "method": match.method,
            "fit": match.fit.to_json() if match.fit else None,
            "rates": None if match.rates is None else match.rates.tolist(),
        },
        "open_set": {
            "rule": own.open_set.rule,
            "fit": own.open_set.fit.to_json(),
            "limit": own.open_set.limit,
        },
        "nonconformity": {
            "kind": found.kind,
            "temperature": found.temperature,
            "penalty": found.penalty,
            "free": found.free,
        },
        "crowding": list(own.crowding),
        "taxonomies": list(own.calibrations),
        "losses": own.losses,
    }


def _direction(name: str, content: dict, arrays: Mapping[str, np.ndarray]) -> DirectionConfidence:
    match, flag = content["match"], content["open_set"]
    rates = None if match["rates"] is None else np.array(match["rates"], dtype=np.float64)
    low, high = (float(e) for e in content["crowding"])
    parts = {
        t: Calibration(*(arrays[f"{name}/{t}/{p}"] for p in ("values", "clusters", "groups")))
        for t in content["taxonomies"]
    }
    return DirectionConfidence(
        Direction.named(name),
        int(content["entries"]),
        float(content["temperature"]),
        MatchModel(match["method"], fit_from_json(match["fit"]) if match["fit"] else None, rates),
        OpenSet(flag["rule"], fit_from_json(flag["fit"]), float(flag["limit"])),
        Nonconformity(**content["nonconformity"]),
        (low, high),
        parts,
        content["losses"],
    )
