import gzip
import hashlib
import json
import pickle
from dataclasses import replace

import pytest

from helpers_server import Answer
from helpers_shared import SHARED
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.material import Property, Reject
from prismat.sources import matbench
from prismat.sources.base import Source
from prismat.sources.matbench import MatbenchOptions, MatbenchSource, read_folds
from prismat.sources.matbench_tasks import TASKS

LATTICE = [[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]]
METALS = ["Li", "Na", "K", "Rb", "Cs", "Ag", "Cu", "Tl"]
ANIONS = ["F", "Cl", "Br", "I", "O", "S", "Se", "Te"]


def structure(number):
    symbols = METALS[number % 8], ANIONS[number // 8 % 8]
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": [x, x, x], "xyz": [0, 0, 0], "label": symbol}
        for symbol, x in zip(symbols, (0.0, 0.5), strict=True)
    ]
    return {"@module": "os", "@class": "system", "lattice": {"matrix": LATTICE}, "sites": sites}


def table(rows, columns=("structure", "last phdos peak"), index=None):
    index = list(range(len(rows))) if index is None else index
    return gzip.compress(json.dumps({"index": index, "columns": list(columns), "data": rows}).encode())


def ids(total):
    return [f"mb-phonons-{n + 1:0{len(str(total))}d}" for n in range(total)]


def folds_of(samples):
    tests = [samples[number::5] for number in range(5)]
    return {
        f"fold_{n}": {"train": [s for s in samples if s not in t], "test": t} for n, t in enumerate(tests)
    }


def written(tmp_path, rows, folds=None, **others):
    path, fold_path = tmp_path / "task.json.gz", tmp_path / "folds.json"
    path.write_bytes(table(rows, **others))
    fold_path.write_text(json.dumps(folds if folds is not None else folds_of(ids(len(rows)))))
    return MatbenchOptions(path=path, folds=fold_path, cache=tmp_path / "cache")


def opened(options):
    source = options.open()
    source.obtain()
    return source


ROWS = [[structure(n), 100.0 + n] for n in range(128)]


def test_samples_with_their_official_ids_and_folds(tmp_path):
    options = written(tmp_path, ROWS)
    source = opened(options)
    found = list(source.read(0, len(source)))
    assert isinstance(source, Source)
    assert [m.id for m in found] == ids(128)
    assert found[3].properties == {"last phdos peak": Property(103.0, "cm-1")}
    assert found[3].structure.formula == "RbF"
    for fold in (0, 4):
        parts = {m.id: m.tags["split"] for m in opened(replace(options, fold=fold)).read(0, 128)}
        assert [s for s, p in parts.items() if p == "test"] == ids(128)[fold::5]


def test_validation_is_a_share_of_whole_formulas_chosen_by_the_seed(tmp_path):
    options = replace(written(tmp_path, ROWS), val=0.3)
    found = list(opened(options).read(0, 128))
    formulas = {
        part: {m.structure.formula for m in found if m.tags["split"] == part} for part in ("train", "val")
    }
    assert not formulas["train"] & formulas["val"]
    share = sum(m.tags["split"] == "val" for m in found) / sum(m.tags["split"] != "test" for m in found)
    assert 0.1 < share < 0.5
    others = [m.tags["split"] for m in opened(replace(options, seed=1)).read(0, 128)]
    assert others != [m.tags["split"] for m in found]
    assert [m.tags["split"] for m in opened(options).read(0, 128)] == [m.tags["split"] for m in found]
    with pytest.raises(BadInputError, match="a share of 1"):
        replace(options, val=1.0).open()


def test_compositions_are_texts(tmp_path):
    rows = [[f"Fe0.{n}Ni0.{9 - n}", 1000.0 + n] for n in range(1, 9)]
    samples = [f"mb-steels-{n + 1}" for n in range(8)]
    options = written(tmp_path, rows, folds_of(samples), columns=("composition", "yield strength"))
    first = next(iter(opened(replace(options, task="matbench_steels")).read(0, 1)))
    assert (first.structure, first.texts) == (None, {"composition": "Fe0.1Ni0.8"})
    assert first.properties == {"yield strength": Property(1001.0, "MPa")}


def test_true_and_false_are_numbers(tmp_path):
    rows = [[structure(n), bool(n % 2)] for n in range(10)]
    samples = [f"mb-mp-is-metal-{n + 1:02d}" for n in range(10)]
    options = written(tmp_path, rows, folds_of(samples), columns=("structure", "is_metal"))
    found = list(opened(replace(options, task="matbench_mp_is_metal")).read(0, 2))
    assert [m.properties["is_metal"].value for m in found] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([{"sites": []}, 1.0], "not a structure as pymatgen writes it"),
        ([structure(1), None], "TypeError"),
        ([structure(1), float("nan")], "not a finite number"),
    ],
)
def test_a_bad_row_is_a_reject(tmp_path, bad, reason):
    first, second = list(opened(written(tmp_path, [bad, *ROWS[:9]])).read(0, 2))
    assert isinstance(first, Reject)
    assert (first.id, reason in first.reason) == ("mb-phonons-01", True)
    assert second.id == "mb-phonons-02"


def test_a_sample_of_no_fold_is_a_reject(tmp_path):
    options = written(tmp_path, ROWS[:10], folds_of(ids(10)[1:]))
    assert "none of the official folds" in next(iter(opened(options).read(0, 1))).reason


@pytest.mark.parametrize(
    ("others", "problem"),
    [
        ({"columns": ("structure", "peak")}, "no column 'last phdos peak'; the service may have changed"),
        ({"index": [0, 1]}, "is none of the table"),
        ({"index": list(range(12))}, "10 rows where 12 are named"),
    ],
)
def test_a_table_of_another_form(tmp_path, others, problem):
    with pytest.raises(BadInputError, match=problem):
        opened(written(tmp_path, ROWS[:10], **others))


def test_columns_must_come_first(tmp_path):
    options = written(tmp_path, ROWS[:10])
    options.path.write_bytes(
        gzip.compress(json.dumps({"data": ROWS[:10], "columns": [], "index": []}).encode())
    )
    with pytest.raises(BadInputError, match="rows before index and columns"):
        opened(options)


def test_folds_of_all_tasks_or_of_one(tmp_path):
    path, folds = tmp_path / "f.json", folds_of(ids(20))
    expected = {sample: number % 5 for number, sample in enumerate(ids(20))}
    path.write_text(json.dumps(folds))
    assert read_folds(path, "matbench_phonons") == expected
    path.write_text(json.dumps({"metadata": {}, "splits": {"matbench_phonons": folds}}))
    assert read_folds(path, "matbench_phonons") == expected
    with pytest.raises(BadInputError, match="no test part of fold_0 of matbench_glass"):
        read_folds(path, "matbench_glass")
    folds["fold_1"]["test"] = folds["fold_0"]["test"]
    path.write_text(json.dumps(folds))
    with pytest.raises(BadInputError, match="is in two test parts"):
        read_folds(path, "matbench_phonons")


def test_workers_read_what_was_kept(tmp_path):
    source = opened(replace(written(tmp_path, ROWS), limit=30))
    (tmp_path / "task.json.gz").unlink()
    again = pickle.loads(pickle.dumps(source))
    assert [m.id for m in again.read(5, 9)] == [m.id for m in source.read(0, 30)][5:9]
    assert again.fingerprint() == source.fingerprint()


def test_the_task_is_fetched_and_checked(server, client, tmp_path, monkeypatch):
    body = table(ROWS)
    options = replace(written(tmp_path, ROWS), path=None, url=f"{server.url}/projects/")
    known = replace(TASKS["matbench_phonons"], sha256=hashlib.sha256(body).hexdigest())
    monkeypatch.setitem(matbench.TASKS, "matbench_phonons", known)
    server.file("/projects/matbench_phonons.json.gz", body)
    server.faults["/projects/matbench_phonons.json.gz"] = [Answer(body[:300], claim=len(body)), Answer.html()]
    for _ in range(2):
        source = MatbenchSource(options, client)
        source.obtain()
        assert len(source) == 128
    monkeypatch.setitem(matbench.TASKS, "matbench_phonons", replace(known, sha256="0" * 64))
    with pytest.raises(FetchError, match="SHA-256"):
        MatbenchSource(options, client).obtain()


def test_the_official_phonons(tmp_path):
    folder = SHARED / "matbench_phonons"
    if not folder.is_dir():
        pytest.skip("matbench_phonons is not in PRISMAT_SHARED_DATA")
    path, folds = folder / "matbench_phonons.json.gz", folder / "matbench_v0.1_phonons_folds.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == TASKS["matbench_phonons"].sha256
    source = opened(MatbenchOptions(path=path, folds=folds, fold=2, cache=tmp_path))
    found = list(source.read(0, 40))
    official = json.loads(folds.read_text())["fold_2"]
    assert len(source) == TASKS["matbench_phonons"].samples == 1265
    assert {m.id for m in found if m.tags["split"] == "test"} == {m.id for m in found} & set(official["test"])
    assert found[0].structure.formula == "BaTe"
