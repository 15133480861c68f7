import importlib.metadata
import importlib.util
import json

from helpers_cli import call
from prismat.commands.doctor import CORE, EXTRAS, examine


def test_versions_and_files_are_named():
    found = examine()
    for name in ("prismat", *CORE):
        assert found[name] == importlib.metadata.version(name)
    assert {"python", "machine", "threads", "gpu", "AMCSD", "all-MiniLM-L6-v2", "cache", "free disk"} < set(
        found
    )
    assert found["free disk"].endswith(" GB")


def test_json_and_text_tell_the_same():
    found = json.loads(call("doctor", "--json").out)
    lines = call("doctor").out.splitlines()
    assert len(lines) == len(found)
    told = dict(line.split(maxsplit=1) for line in lines if not line.startswith("free disk"))
    assert told == {k: v for k, v in found.items() if k != "free disk"}


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n in EXTRAS else real(n, *a))
    found = examine()
    assert found["ase"] == "missing: pip install 'prismat[ase]' for reading ase Atoms"
    assert "prismat[text]" in found["transformers"]


def test_files_that_are_not_there_are_announced(monkeypatch):
    monkeypatch.setattr("prismat.commands.doctor.locate_present", lambda _: None)
    found = examine()
    assert found["AMCSD"] == "fetched at first use (4 MB)"
    assert found["all-MiniLM-L6-v2"].startswith("fetched at first use")
