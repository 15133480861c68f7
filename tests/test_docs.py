import ast
import importlib.metadata
import importlib.util
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helpers_crystals import crystals
from prismat.formats import to_cif
from prismat.material import Property
from prismat.sources.folder import FolderSource

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
COUNTS = {"P": 15, "L": 12, "C": 13, "M": 9, "X": 8}
STATUSES = {"reproduced", "substituted", "not testable here", "out of scope", "planned"}
MADE = (DOCS / "systems.md", DOCS / "seeds.md", DOCS / "encoders.md")
MEASURED = {"reproduced", "substituted"}


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("make_pages", DOCS / "make_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def seeds():
    return json.loads((DOCS / "seeds.json").read_text(encoding="utf-8"))


def verbs():
    """Verbs of the command line, read from ``prismat.commands.__all__`` without importing torch and all."""
    source = (ROOT / "src" / "prismat" / "commands" / "__init__.py").read_text(encoding="utf-8")
    names = ast.literal_eval(source.split("__all__ = ")[1])
    return {re.sub(r"(?<=\w)([A-Z])", r"-\1", re.sub(r"Command$", "", name)).lower() for name in names}


def problems(entry):
    """What is wrong with one entry of seeds.json."""
    found = [] if set(entry) == {"item", "status", "command", "result", "note"} else ["fields"]
    found += [] if entry["status"] in STATUSES else ["status"]
    found += [] if entry["item"] and entry["note"] else ["item and note are empty"]
    if entry["status"] in MEASURED:
        program, what = [*(entry["command"] or "").split(), "", ""][:2]
        is_verb = program == "prismat" and what in verbs()
        is_script = program == "python" and what.startswith("benchmarks/") and (ROOT / what).is_file()
        found += [] if is_verb or is_script else ["command"]
        found += [] if entry["result"] is None or (ROOT / entry["result"]).is_file() else ["result"]
    elif entry["command"] or entry["result"]:
        found.append("a command or a result without a measurement")
    return found


def test_every_item_of_the_documents_is_there(seeds):
    assert list(seeds) == [f"{letter}{n}" for letter, count in COUNTS.items() for n in range(1, count + 1)]


def test_every_entry_is_sound(seeds):
    assert {name: problems(entry) for name, entry in seeds.items() if problems(entry)} == {}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "done"}, "status"),
        ({"command": "prismat fly", "status": "reproduced", "result": None}, "command"),
        ({"command": "prismat train", "status": "reproduced", "result": "docs/nothing.json"}, "result"),
        ({"command": "prismat train"}, "a command or a result without a measurement"),
        ({"note": ""}, "item and note are empty"),
        ({"more": 1}, "fields"),
    ],
)
def test_an_unsound_entry_is_found(seeds, change, problem):
    assert problems(seeds["P1"] | {"status": "planned", "command": "", "result": ""} | change) == [problem]


def test_the_committed_pages_are_current(pages, tmp_path):
    made = {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in pages.make(tmp_path)}
    committed = {path.relative_to(DOCS) for path in [*(DOCS / "api").glob("*.md"), *MADE]}
    assert set(made) == committed, "run: make docs"
    stale = [str(name) for name, text in made.items() if (DOCS / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run: make docs"


def test_pages_no_longer_made_are_removed(pages, tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "gone.md").write_text("old")
    pages.make(tmp_path)
    assert not (tmp_path / "api" / "gone.md").exists()


def test_every_module_of_the_documented_folders_is_on_one_page(pages):
    told = [module for modules in pages.pages().values() for module in modules]
    there = [
        f"{folder}/{p.stem}" for folder in pages.FOLDERS for p in (pages.SOURCE / folder).glob("[!_]*.py")
    ]
    assert sorted(set(there) - set(told)) == []
    assert len(told) == len(set(told))


def test_a_docstring_becomes_markdown(pages):
    docstring = """One line with ``code`` and <missing>.

Prose of :func:`two`
lines.

a = b + c,
d ← e

    indented   block

Args:
    first: what it is,
        told further.
    *rest: others.

Returns:
    By key: a number.

Raises:
    ValueError: too bad.
"""
    assert list(pages.markdown(docstring)) == [
        *("One line with `code` and \\<missing>.", ""),
        *("Prose of `two`", "lines.", ""),
        *("```text", "a = b + c,", "d ← e", "```", ""),
        *("```text", "indented   block", "```", ""),
        *("**Args**", "", "- `first`: what it is, told further.", "- `*rest`: others.", ""),
        *("**Returns**", "", "- By key: a number.", ""),
        *("**Raises**", "", "- `ValueError`: too bad.", ""),
    ]


def test_signatures_hold_defaults_and_kinds_of_arguments(pages):
    text = "def f(a, b: int = 2, *c: str, d, e: float = 1.5, **g: object) -> 'list[int]': ...\n"
    node = pages.ast.parse(text).body[0]
    expected = ["a", "b: int = 2", "*c: str", "d", "e: float = 1.5", "**g: object"]
    assert pages.signature(node, text) == expected
    bare = "def f(a, *, b=None): ...\n"
    assert pages.signature(pages.ast.parse(bare).body[0], bare) == ["a", "*", "b=None"]


def test_the_page_of_a_dataclass_names_its_fields(pages):
    from prismat.objectives.config import ObjectiveConfig

    page = pages.page(("objectives/config",))
    for field in fields(ObjectiveConfig):
        assert re.search(rf"^    {field.name}: .* = ", page, re.MULTILINE), field.name
        assert f"- `{field.name}`: " in page
    assert "weights: dict[str, float] = dict()," in page
    assert "(self" not in page


def test_links_lead_somewhere():
    links = [
        (path, target)
        for path in [*DOCS.rglob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
        for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text(encoding="utf-8"))
        if not target.startswith("https://")
    ]
    assert len(links) > 20
    assert [f"{path.name}: {target}" for path, target in links if not (path.parent / target).exists()] == []


def tree():
    """Files named in CONTRIBUTING.md, each with its folders, and whether something is said of them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    lines = text.split("```text\nsrc/prismat/\n")[1].split("```")[0].splitlines()
    folders, found = [], {}
    for line in lines:
        names = re.match(r" +((?:[\w.]+, )*[\w.]+|\w+/)(?= )", line)[1]
        said = line.replace(names, "").strip()
        depth = (len(line) - len(line.lstrip())) // 2 - 1
        folders = folders[:depth]
        if names.endswith("/"):
            folders.append(names)
        for name in [] if names.endswith("/") else names.split(", "):
            found["".join(folders) + name] = said
    return found


def test_the_tree_names_every_file():
    source = ROOT / "src" / "prismat"
    there = {p.relative_to(source).as_posix() for p in source.rglob("*") if p.is_file()}
    there = {n for n in there if "__pycache__" not in n and not n.endswith("/__init__.py")}
    # The page's assets are named as a folder.
    there = {n for n in there if not n.startswith("app/static/")}
    named = tree()
    assert sorted(there - set(named)) == []
    assert sorted(set(named) - there) == []
    assert all(named.values())


def test_the_table_of_the_data_page_works(tmp_path):
    text = (DOCS / "sources" / "folder.md").read_text(encoding="utf-8")
    (tmp_path / "table.csv").write_text(re.search(r"```csv\n(.*?)```", text, re.DOTALL)[1], encoding="utf-8")
    (tmp_path / "salt").mkdir()
    (tmp_path / "salt" / "halite.cif").write_text(to_cif(crystals()["NaCl"]), encoding="utf-8")
    (tmp_path / "rutile.cif").write_text(to_cif(crystals()["rutile"]), encoding="utf-8")
    iron = "iron\n2.87\n1 0 0\n0 1 0\n0 0 1\nFe\n2\nDirect\n0 0 0\n0.5 0.5 0.5\n"
    (tmp_path / "POSCAR.iron").write_text(iron, encoding="utf-8")
    source = FolderSource(tmp_path)
    halite, rutile, iron = source.read(0, len(source))
    assert [m.id for m in (halite, rutile, iron)] == ["s-001", "s-002", "s-003"]
    assert [m.structure.formula for m in (halite, rutile, iron)] == ["NaCl", "TiO2", "Fe"]
    assert halite.texts == {"title": "Refinement of halite", "keywords": "cubic, ionic"}
    assert halite.tags == {"mineral": "halite", "year": "1968", "colour": "white"}
    assert halite.properties == {
        "band_gap": Property(8.5, "eV"),
        "density": Property(2.165, "g/cm3"),
        "formula_units": Property(4.0, ""),
    }
    assert "formula_units" not in iron.properties


def test_the_citation_file_has_what_the_format_asks_for():
    content = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert content["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(content)
    assert content["authors"] == [{"name": "The Prismat developers"}]
    assert content["version"] == importlib.metadata.version("prismat")
    for reference in content["references"]:
        assert {"type", "title", "authors", "year"} <= set(reference)
        assert all("family-names" in author for author in reference["authors"])
    assert [r["year"] for r in content["references"]] == [2003, 2018, 2018, 2019]


def test_the_changelog_keeps_its_format():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", h) for h in headings[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
    named = set(re.findall(r"`([\w-]+)`", text.split("Command line:")[1].split("\n\n")[0]))
    assert named == verbs()
