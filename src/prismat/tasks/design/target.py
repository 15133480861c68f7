"""A target: everything that is wanted of a material at once, and its parts scored over candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Union

import numpy as np

from prismat.errors import BadInputError
from prismat.material import Property
from prismat.measurements import Dos, Pattern
from prismat.tasks.design.candidates import Candidates
from prismat.tasks.design.estimate import Estimate, estimate, labelled_rows, structure_features
from prismat.tasks.design.parts import Part, known_part, predicted_part, similar_part
from prismat.tasks.design.wants import Want
from prismat.tasks.opened import Opened
from prismat.tasks.prediction import target_of

if TYPE_CHECKING:
    from prismat.material import StructureLike

Mode = Literal["known", "predicted", "joint"]
POINTS = 5
"""Values of a range that are embedded; a candidate counts by its likest."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a material should be like.

    Attributes:
        wants: numbers.
        text: words.
        structure: a crystal to resemble.
        pattern: a powder pattern.
        dos: densities of states by window, ``dos`` or ``phonon_dos``.
        mode: how numbers are scored: by the values that candidates have (``known``), by a prediction that
            never looks at them (``predicted``), or by the property window of the joint space (``joint``).
        weights: by part, 1 where left out.

    Raises:
        BadInputError: nothing is wanted, one property twice, or a weight of no part or not positive.
    """

    wants: Sequence[Want] = ()
    text: str | None = None
    structure: Union["StructureLike", None] = None
    pattern: Pattern | None = None
    dos: Mapping[str, Dos] = field(default_factory=dict)
    mode: Mode = "predicted"
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.names
        if not names:
            raise BadInputError(
                "nothing is wanted",
                field="target",
                remedy="Give a number, words, a DOS, a structure or a pattern.",
            )
        if len(set(names)) < len(names):
            raise BadInputError(f"parts {names}", field="target", remedy="Name every property once.")
        for name, weight in self.weights.items():
            if name not in names or not (np.isfinite(weight) and weight > 0):
                raise BadInputError(
                    f"weight {weight} for {name!r}",
                    field="weights",
                    remedy=f"Give positive numbers for {', '.join(names)}.",
                )

    @property
    def names(self) -> list[str]:
        """Names of the parts, in the order of the columns."""
        others = {"text": self.text, "structure": self.structure, "xrd": self.pattern}
        return [w.name for w in self.wants] + [n for n, x in others.items() if x is not None] + list(self.dos)

    def weight_list(self) -> list[float]:
        """Weights in the order of the names, of sum 1."""
        found = [self.weights.get(name, 1.0) for name in self.names]
        return [w / sum(found) for w in found]

    def told(self) -> str:
        """All parts in words."""
        words = [w.told() for w in self.wants] + ([f"the words {self.text!r}"] if self.text else [])
        given = {"a structure": self.structure, "a powder pattern": self.pattern}
        return "; ".join(
            [*words, *(n for n, x in given.items() if x is not None), *(f"a {w}" for w in self.dos)]
        )


@dataclass(frozen=True, eq=False)
class Sources:
    """Where predicted values come from.

    Attributes:
        reference: a store under the same model from whose training part is learnt; the first of the
            candidates' own where None.
        estimates: by property, values that something else predicted, with their unit.
    """

    reference: Opened | None = None
    estimates: Mapping[str, tuple[str, Estimate]] = field(default_factory=dict)


def score(target: Target, pool: Candidates, sources: Sources) -> list[Part]:
    """Every part of a target as a score of every candidate.

    Args:
        target: what is wanted.
        pool: the candidates.
        sources: of predicted values.

    Raises:
        BadInputError: a property that nobody has, a unit that does not convert, or a window that the model
            does not have.
    """
    parts = [_number(target, want, pool, sources) for want in target.wants]
    if target.text is not None:
        cosines = _cosines(pool, texts=[target.text])
        parts.append(similar_part("text", f"like the words {target.text!r}", cosines))
    if target.structure is not None:
        parts.append(similar_part("structure", "like the structure given", _alike(pool, target.structure)))
    if target.pattern is not None:
        cosines = _cosines(pool, patterns=[target.pattern])
        parts.append(similar_part("xrd", "like the pattern given", cosines))
    for window, dos in target.dos.items():
        parts.append(similar_part(window, f"like the {window} given", _cosines(pool, **{window: [dos]})))
    return parts


def _number(target: Target, want: Want, pool: Candidates, sources: Sources) -> Part:
    """One number under the target's mode."""
    if target.mode == "joint":
        return joint_part(want, pool)
    if target.mode == "known":
        spec = pool.spec(want.name)
        return known_part(want.converted(spec.unit), pool.values(spec))
    if want.name in sources.estimates:
        unit, found = sources.estimates[want.name]
        return predicted_part(want.converted(unit), found.mean, found.deviation)
    reference = sources.reference or pool.opened[0]
    spec = target_of(reference.prepared.store, want.name)
    rows, values = labelled_rows(reference, spec)
    wanted = [structure_features(o, r) for o, r in zip(pool.opened, pool.rows, strict=True) if len(r)]
    found = estimate(structure_features(reference, rows), values, np.concatenate(wanted))
    return predicted_part(want.converted(spec.unit), found.mean, found.deviation)


def joint_part(want: Want, pool: Candidates) -> Part:
    """A range by the likeness of structures to the range's values in the joint space.

    Raises:
        BadInputError: the model has no property window, or not this property.
    """
    specs = {s.name: s for s in pool.prismat.recipe.measured.properties.properties}
    if "properties" not in pool.prismat.recipe.windows or want.name not in specs:
        raise BadInputError(
            f"this model does not embed {want.name!r}",
            field="want",
            remedy=f"It embeds: {', '.join(specs) or 'no properties'}. Or use mode predicted or known.",
        )
    unit = specs[want.name].unit
    points = [{want.name: Property(float(v), unit)} for v in want.converted(unit).points(POINTS)]
    return similar_part(want.name, want.told(), _cosines(pool, properties=points))


def _cosines(pool: Candidates, **given: list) -> np.ndarray:
    """Largest cosine of every candidate to what is given, in the heads of the two windows."""
    model = pool.prismat
    window = {"texts": "text", "patterns": "xrd"}.get(next(iter(given)), next(iter(given)))
    vectors = model.embed(**given)[model.key(window, "structure")]
    return (pool.vectors[model.key("structure", window)] @ vectors.T).max(axis=1).astype(np.float64)


def _alike(pool: Candidates, structure: "StructureLike") -> np.ndarray:
    """Cosine to a structure, the mean over the heads that the model has for structures."""
    found = pool.prismat.embed(structures=[structure])
    return np.mean([pool.vectors[k] @ found[k][0] for k in pool.vectors], axis=0).astype(np.float64)
