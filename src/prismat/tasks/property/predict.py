"""A saved head on many files, or on a whole store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int

from prismat.errors import BadInputError
from prismat.files import replacing
from prismat.formats_measured import read_measured
from prismat.formats_xrd import read_xy
from prismat.heads.composition import COMPOSITION
from prismat.heads.features import encode_rows
from prismat.heads.model import ClassPrediction, NumberPrediction, Prediction, PropertyHead
from prismat.heads.reading import RawRecord, ReadRecord, read_raw
from prismat.material import Reject
from prismat.measurements import Measurement
from prismat.recipes.systems import PLAIN
from prismat.store import Store
from prismat.tasks.opened import read_bank
from prismat.tasks.quickstart import Talk
from prismat.training.records import read_records
from prismat.training.store_checks import check_store
from prismat.training.windows import StoreData


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of many records.

    Attributes:
        names: of the records that could be read.
        prediction: of these, None where there are none.
        rejects: the others, with the reason.
    """

    names: list[str]
    prediction: Prediction | None
    rejects: list[Reject]


@dataclass(frozen=True)
class GivenFiles:
    """Files and words of records, one of each kind per record; a kind may be empty.

    Attributes:
        structures: CIF or POSCAR files.
        texts: words.
        patterns: .xy or .xye files.
        measured: files by window: ``image``, ``dos`` …
        wavelength: of the patterns in Å.
    """

    structures: tuple[Path, ...] = ()
    texts: tuple[str, ...] = ()
    patterns: tuple[Path, ...] = ()
    measured: Mapping[str, tuple[Path, ...]] | None = None
    wavelength: float = 1.54184

    def check(self) -> int:
        """Number of records.

        Raises:
            BadInputError: none, or numbers that differ.
        """
        kinds = {"structures": self.structures, "texts": self.texts, "patterns": self.patterns}
        counts = {k: len(v) for k, v in {**kinds, **(self.measured or {})}.items() if v}
        if len(set(counts.values())) != 1:
            told = ", ".join(f"{n} {k}" for k, n in counts.items())
            raise BadInputError(
                f"records given as {told}" if told else "no records given",
                field="predict",
                remedy="Give files, one of each kind per record, or --store.",
            )
        return max(counts.values())


def predict_files(head: PropertyHead, given: GivenFiles, level: float = 0.9) -> Predicted:
    """Predicts for every record that can be read; the others are listed with the reason.

    Args:
        head: saved by ``prismat fit``.
        given: files and words.
        level: of the intervals or sets.

    Raises:
        BadInputError: numbers of files and words that differ.
    """
    read: list[ReadRecord] = []
    rejects = []
    for i in range(given.check()):
        name = _name(given, i)
        try:
            read.append(read_raw(head.prismat, _record(given, i, name), head.spec.windows))
        except (BadInputError, OSError, ValueError) as error:
            rejects.append(Reject.because(name, error))
    prediction = head.predict_read(read, level) if read else None
    return Predicted([r.name for r in read], prediction, rejects)


def _name(given: GivenFiles, i: int) -> str:
    for files in (given.structures, given.patterns, *(given.measured or {}).values()):
        if files:
            return str(files[i])
    return given.texts[i]


def _record(given: GivenFiles, i: int, name: str) -> RawRecord:
    measured: dict[str, Measurement] = {
        w: read_measured(w, f[i]) for w, f in (given.measured or {}).items() if f
    }
    if given.patterns:
        path = given.patterns[i]
        measured["xrd"] = read_xy(path, record=str(path), wavelength=given.wavelength)
    structure = given.structures[i] if given.structures else None
    return RawRecord(name, structure, given.texts[i] if given.texts else None, measured)


def predict_store(
    head: PropertyHead,
    store: Store,
    rows: Int[np.ndarray, " n"] | None = None,
    level: float = 0.9,
    talk: Talk = Talk(),
) -> Predicted:
    """Predicts for the records of a store; those without any of the windows are rejected.

    Args:
        head: saved by ``prismat fit``.
        store: prepared as the head's model reads it.
        rows: which records; all where None.
        level: of the intervals or sets.
        talk: how progress is told.

    Raises:
        MismatchError: the store was prepared with other settings.
        BadInputError: no record has a window.
    """
    prismat, spec = head.prismat, head.spec
    own = tuple(w for w in spec.windows if w != COMPOSITION)
    check_store(store, replace(prismat.recipe, windows=own))
    bank = read_bank(prismat, read_records(store), spec.text_view) if "text" in spec.windows else None
    data = StoreData(store, own, prismat.modalities, bank, PLAIN, ())
    rows = np.arange(len(store)) if rows is None else rows
    told = lambda done, total: talk.bar("features", done, total, {})  # noqa: E731
    features = encode_rows(prismat, data, rows, spec.windows, spec.head.feature, told)
    there = features.any_present
    if not there.any():
        raise BadInputError(
            f"no record has {' or '.join(spec.windows)}",
            record=str(store.folder),
            remedy="Give another store.",
        )
    ids = np.array(store.ids, dtype=object)[rows]
    rejects = [Reject(i, f"none of {', '.join(spec.windows)}") for i in ids[~there]]
    prediction = head.predict_features(features.take(np.flatnonzero(there)), level)
    return Predicted(ids[there].tolist(), prediction, rejects)


def prediction_columns(prediction: Prediction) -> dict[str, Sequence]:
    """One column per number, as they are written and printed."""
    if isinstance(prediction, NumberPrediction):
        return {
            "value": prediction.values.tolist(),
            "low": prediction.low.tolist(),
            "high": prediction.high.tolist(),
            "spread": prediction.spread.tolist(),
            "unit": [prediction.unit] * len(prediction.values),
        }
    return _class_columns(prediction)


def _class_columns(prediction: ClassPrediction) -> dict[str, Sequence]:
    columns: dict[str, Sequence] = {
        "class": prediction.labels,
        "set": [[prediction.classes[i] for i in np.flatnonzero(row)] for row in prediction.sets],
    }
    shares = zip(prediction.classes, prediction.probabilities.T, strict=True)
    return columns | {f"p({name})": p.tolist() for name, p in shares}


def write_parquet(path: Path, predicted: Predicted) -> None:
    """Writes ``id`` and the prediction's columns, whole or not at all.

    Raises:
        BadInputError: there is nothing to write.
    """
    if predicted.prediction is None:
        raise BadInputError("no record could be predicted", field="predict", remedy="See the rejects.")
    metadata = {"property": predicted.prediction.name, "level": str(predicted.prediction.level)}
    table = pa.table({"id": predicted.names, **prediction_columns(predicted.prediction)})
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")
