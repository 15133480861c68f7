import json

import pyarrow.parquet as pq
import pytest

from helpers_hygiene import make_store, material, polymorph
from prismat.commands.compare import Compare
from prismat.errors import BadInputError
from prismat.files import write_text
from prismat.hygiene.matching import Matching
from prismat.hygiene.structures import CompareSettings
from prismat.splits import Split

ALONE = CompareSettings(matching=Matching(workers=1))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("compare")
    make_store(
        root / "learnt",
        material("q", polymorph("quartz"), texts={"title": "On quartz"}),
        material("q again", polymorph("quartz")),
        material("d", polymorph("diamond")),
    )
    make_store(root / "judged", material("q2", polymorph("quartz")), material("g", polymorph("graphite")))
    make_store(root / "clean", material("r", polymorph("rutile")))
    write_text(root / "run" / "split.json", Split(("q", "d"), (), ("q again",)).to_json())
    return root


def test_leaks_are_told_and_listed(root, tmp_path, capsys):
    against = (root / "judged", root / "clean")
    Compare(root / "learnt", against, out=tmp_path, settings=ALONE).run()
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["shared", "with", "learnt", "judged", "clean"]
    structure = next(line for line in said if line.startswith("structure"))
    assert structure.split() == ["structure", "1", "(50.0%)", "0", "(0.0%)"]
    assert next(line for line in said if line.startswith("formula")).split()[1] == "2"
    assert said[-1] == f"Ids: {tmp_path / 'overlap.parquet'}"
    assert pq.read_table(tmp_path / "overlap.parquet")["id"].to_pylist() == ["q2", "g", "q2"]
    assert json.loads((tmp_path / "comparison.json").read_text())["train"]["records"] == 3


def test_a_run_is_compared_by_its_parts(root, capsys):
    Compare(root / "learnt", (root / "learnt",), root / "run", settings=ALONE, json=True).run()
    told = json.loads(capsys.readouterr().out)
    assert told["train"] == {"name": "train part", "records": 2}
    assert told["evaluation"][0]["shared"]["structure"]["records"] == 1


def test_duplicates_of_one_store(root, tmp_path, capsys):
    Compare(root / "learnt", out=tmp_path, settings=ALONE).run()
    said = capsys.readouterr().out
    assert "1 given to the matcher, 1 confirmed" in said
    assert pq.read_table(tmp_path / "duplicates.parquet")["kind"].to_pylist() == ["structure", "formula"]
    assert json.loads((tmp_path / "comparison.json").read_text())["structure"]["groups"] == 1


def test_errors(root, tmp_path):
    with pytest.raises(BadInputError, match="No finished store"):
        Compare(tmp_path, settings=ALONE).run()
    with pytest.raises(BadInputError, match="No finished store"):
        Compare(root / "learnt", (tmp_path,), settings=ALONE).run()
    with pytest.raises(BadInputError, match="nothing to compare the run with"):
        Compare(root / "learnt", run_folder=root / "run", settings=ALONE).run()
    with pytest.raises(BadInputError, match="Give a folder of 'prismat train'"):
        Compare(root / "learnt", (root / "judged",), tmp_path, settings=ALONE).run()
    with pytest.raises(BadInputError, match="compared with itself"):
        Compare(root / "learnt", (root / "learnt",), settings=ALONE).run()
