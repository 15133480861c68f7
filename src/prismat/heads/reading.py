"""Raw input of records that may lack windows: from crystals, words and measurements to a head's features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from prismat.api import Prismat
from prismat.crystal import Crystal
from prismat.device import moved
from prismat.errors import BadInputError
from prismat.formats import read_crystal
from prismat.heads.composition import COMPOSITION, composition_batch, crystal_fractions
from prismat.heads.config import Feature
from prismat.heads.features import CHUNK, Features, as_features, joined, model_features
from prismat.material import Material, Property
from prismat.measurements import Measurement
from prismat.modalities.base import Features as Arrays
from prismat.modalities.base import pack_features
from prismat.modalities.text import check_query

if TYPE_CHECKING:
    from prismat.material import StructureLike


@dataclass(frozen=True, eq=False)
class RawRecord:
    """What is known of one material before anything is computed.

    Attributes:
        name: for error messages.
        structure: in any form that ``read_crystal`` takes, or None.
        text: words, or None.
        measurements: by window: ``xrd``, ``image``, ``dos`` …
        properties: numbers with units by name.
    """

    name: str
    structure: "StructureLike | None" = None
    text: str | None = None
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    properties: Mapping[str, Property] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ReadRecord:
    """Arrays of one record.

    Attributes:
        name: of the record.
        arrays: by window other than text, None where absent.
        text: words, or None.
        crystal: the structure, where the head reads its composition.
    """

    name: str
    arrays: dict[str, Arrays | None]
    text: str | None
    crystal: Crystal | None = None


def read_raw(prismat: Prismat, record: RawRecord, windows: Sequence[str]) -> ReadRecord:
    """Arrays of the windows that a head reads.

    A pattern that is not given is computed from the structure, as in the stores that models are trained on.

    Raises:
        BadInputError: input that cannot be read, or a record with none of the windows; names it.
    """
    crystal = None if record.structure is None else read_crystal(record.structure, record=record.name)
    material = Material(
        record.name, crystal, measurements=record.measurements, properties=dict(record.properties)
    )
    arrays = {w: prismat.modalities[w].featurize(material) for w in windows if w not in ("text", COMPOSITION)}
    text = check_query(record.text) if record.text is not None and "text" in windows else None
    own = crystal if COMPOSITION in windows else None
    if text is None and own is None and all(found is None for found in arrays.values()):
        raise BadInputError(
            "none of the windows that the head reads",
            record=record.name,
            remedy=f"Give {' or '.join(windows)}.",
        )
    return ReadRecord(record.name, arrays, text, own)


def encode_raw(
    prismat: Prismat, records: Sequence[ReadRecord], windows: Sequence[str], feature: Feature = "encoder"
) -> Features:
    """Features of records that were read."""
    parts = []
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        device = next(prismat.model.parameters()).device
        batches = {w: moved(_batch(prismat, chunk, w), device) for w in windows}
        with torch.inference_mode():
            parts.append(as_features(*model_features(prismat.model, batches, feature)))
    return joined(parts)


def _batch(prismat: Prismat, records: Sequence[ReadRecord], window: str) -> object:
    if window == COMPOSITION:
        return composition_batch(crystal_fractions([r.crystal for r in records]))
    if window == "text":
        if prismat.reader is None:
            raise BadInputError("this model reads no text", field="text", remedy="Give other windows.")
        return prismat.reader.read([r.text for r in records])
    modality = prismat.modalities[window]
    return modality.collate(pack_features(modality.columns, [r.arrays[window] for r in records]))


def raw_records(
    structures: "Sequence[StructureLike | None] | None" = None,
    texts: Sequence[str | None] | None = None,
    properties: Sequence[Mapping[str, Property] | None] | None = None,
    measured: Mapping[str, Sequence[Measurement | None] | None] | None = None,
) -> list[RawRecord]:
    """Records from lists by window, all of one length; None stands for a window that a record lacks.

    Raises:
        BadInputError: nothing given, or lists of different lengths.
    """
    given = {"structures": structures, "texts": texts, "properties": properties, **(measured or {})}
    lengths = {name: len(items) for name, items in given.items() if items is not None}
    if len(set(lengths.values())) != 1 or not max(lengths.values()):
        told = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise BadInputError(
            f"records given as {told}" if told else "no records given",
            field="predict",
            remedy="Give one of each per record, None where a record lacks it.",
        )
    measured = {w: items for w, items in (measured or {}).items() if items is not None}
    found = []
    for i in range(max(lengths.values())):
        structure = structures[i] if structures is not None else None
        name = str(structure) if isinstance(structure, Path) else f"record {i}"
        there = {w: x for w, items in measured.items() if (x := items[i]) is not None}
        text = texts[i] if texts is not None else None
        numbers = (properties[i] if properties is not None else None) or {}
        found.append(RawRecord(name, structure, text, there, numbers))
    return found
