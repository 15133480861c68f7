"""Pages of the manual: docs/api from the docstrings, and pages of tables from figures and from seeds.json.

Source files are parsed, never imported, so that this needs nothing but Python. The same source gives the same
bytes. Run it with ``make docs``.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "prismat"
NOTICE = "<!-- Made by `make docs` from the source. Edit the docstrings, not this page. -->"

FOLDERS = ("modalities", "encoders", "objectives", "augment", "sources")
"""Folders in which every file is a page, unless it is told of on another one."""

ROOMS = (
    "heads",
    "confidence",
    "studies",
    "tasks/property",
    "tasks/screening",
    "tasks/synthesis",
    "tasks/design",
    "tasks/active",
    "tasks/quality",
    "tasks/defects",
    "tasks/text_tasks",
    "search/backends",
    "maps",
    "explain",
    "explain/attention",
    "app",
    "app/optimade",
)
"""Folders that are one page each."""

COMPANIONS = {
    "modalities/structure": ("modalities/standard_cell",),
    "modalities/text": (
        "modalities/text_views",
        "modalities/chemistry_text",
        "modalities/lexicon",
        "modalities/formula_text",
        "modalities/formula_spans",
        "modalities/chemical_words",
        "modalities/keywords",
        "modalities/embedding_cache",
    ),
    "modalities/dos": ("measurements", "formats_dos", "vasprun", "vasprun_stream", "modalities/dos_scale"),
    "modalities/charge_density": (
        "formats_density",
        "modalities/promolecule",
        "modalities/resample_grid",
    ),
    "modalities/image": ("formats_image", "modalities/image_views", "modalities/xrd_image"),
    "modalities/properties": ("modalities/property_units",),
    "modalities/xrd": (
        "modalities/profile",
        "modalities/rendering",
        "modalities/measured",
        "modalities/texture",
    ),
    "encoders/alignn": ("encoders/line_graph", "encoders/edge_gated"),
    "encoders/cgcnn": ("encoders/gated_sum", "encoders/edge_moments"),
    "encoders/chgnet": ("modalities/chgnet_features",),
    "encoders/huggingface": ("encoders/pretrained", "encoders/tuning", "encoders/text_head"),
    "encoders/layers": (
        "encoders/segment",
        "encoders/shells",
        "encoders/initialize",
        "encoders/normed_rows",
        "encoders/blocked_sum",
    ),
    "encoders/matformer": ("encoders/lattice_minima",),
    "encoders/mpgnn": ("encoders/coordination",),
    "encoders/megnet": ("encoders/set2set",),
    "encoders/painn": ("encoders/painn_message", "encoders/bessel"),
    "encoders/potnet": ("modalities/lattice_sums",),
    "encoders/resnet": ("encoders/timm_backbone", "torchvision_shim"),
    "objectives/base": ("embedded",),
    "objectives/config": ("objectives/build",),
    "objectives/infonce": ("objectives/cross_entropy", "objectives/scale"),
    "objectives/jsd": ("objectives/prior",),
    "sources/amcsd": ("sources/amcsd_titles",),
    "sources/base": (
        "sources/mirrored",
        "sources/file_rows",
        "sources/data_file",
        "sources/json_rows",
        "sources/pymatgen_json",
    ),
    "sources/cod": (
        "sources/cod_search",
        "sources/cod_table",
        "sources/cod_metadata",
        "sources/cod_files",
        "sources/cod_entry",
        "sources/crossref",
        "sources/jats",
        "sources/cif_markup",
    ),
    "sources/folder": (
        "sources/folder_files",
        "sources/folder_read",
        "sources/folder_table",
        "sources/folder_powder",
        "sources/folder_vasprun",
    ),
    "sources/matbench": ("sources/matbench_tasks",),
    "sources/materials_project": (
        "sources/mp_api",
        "sources/mp_filter",
        "sources/mp_summary",
        "sources/mp_parts",
        "sources/mp_arrays",
    ),
    "sources/optimade": (
        "sources/optimade_answers",
        "sources/optimade_fields",
        "sources/optimade_providers",
        "sources/optimade_structure",
        "sources/oqmd",
    ),
    "sources/packaged_sets": (
        "sources/packaged_base",
        "sources/packaged_dielectric",
        "sources/packaged_jarvis",
        "sources/packaged_matminer",
        "sources/packaged_ncrystal",
        "sources/packaged_prose",
    ),
    "sources/synthesis": (
        "sources/synthesis_recipe",
        "sources/synthesis_steps",
        "sources/synthesis_text",
        "sources/synthesis_join",
    ),
    "sources/table": ("sources/table_options",),
}
"""Files told of on the page of another one."""

FIXED = {
    "prismat": ("api", "material", "crystal", "formats", "formats_xrd", "store", "prepare"),
    "recipe": (
        "recipes/base",
        "recipes/systems",
        "recipes/crysmmnet",
        "recipes/scale",
        "model",
        "training/windows",
    ),
    "prediction": ("predictor", "tasks/prediction", "tasks/regression"),
    "training": (
        "training/loop",
        "training/optimizer",
        "training/schedule",
        "training/learner",
        "training/distributed",
        "training/auxiliary",
        "training/supervised",
        "training/replay",
        "training/watch",
    ),
    "fetch": ("fetch/client", "fetch/pages", "fetch/items", "fetch/place", "fetch/errors"),
    "texts": (
        "texts/template",
        "texts/robocrys",
        "texts/language_model",
        "texts/asking",
        "texts/prompts",
        "texts/keywords",
        "texts/narratives",
        "texts/dimensionality",
        "texts/environments",
        "texts/bonds",
    ),
    "compute": (
        "compute/settings",
        "compute/campaign",
        "compute/calculation",
        "compute/selection",
        "compute/results",
        "compute/abinit_input",
        "compute/abinit_output",
        "compute/abinit_density",
        "compute/pseudopotentials",
        "compute/sandbox",
    ),
    "hygiene": (
        "hygiene/comparison",
        "hygiene/structures",
        "hygiene/matching",
        "hygiene/fingerprint",
        "hygiene/leakage",
        "hygiene/manifest",
        "hygiene/data_card",
    ),
    "tasks": (
        "tasks/opened",
        "tasks/result",
        "tasks/transfer",
        "tasks/classification",
        "tasks/tuning",
        "tasks/retrieval",
        "tasks/bootstrap",
    ),
    "search": (
        "search/engine",
        "search/query",
        "search/steer",
        "search/filters",
        "search/language",
        "search/answer",
        "search/trust",
        "search/comparisons",
        "search/index",
        "search/index_edits",
        "search/weighted",
        "search/exact",
    ),
}
"""Pages that are not one file's."""

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises")
_HEADING = re.compile(rf"({'|'.join(SECTIONS)}):$")
_ENTRY = re.compile(r"(\*{0,2}\w[\w., *]*): +(\S.*)")
_ENTRY_SECTIONS = ("Args", "Attributes", "Raises")
_EQUATION = re.compile(r"\S+ [=←] ")


def pages() -> dict[str, tuple[str, ...]]:
    """Modules of each page, as paths under src/prismat without extension."""
    told = {name for names in COMPANIONS.values() for name in names}
    found = dict(FIXED)
    for room in ROOMS:
        names = sorted(path.stem for path in (SOURCE / room).glob("[!_]*.py"))
        found[room.replace("/", "-")] = (f"{room}/__init__", *(f"{room}/{name}" for name in names))
    for folder in FOLDERS:
        for path in sorted((SOURCE / folder).glob("[!_]*.py")):
            name = f"{folder}/{path.stem}"
            if name not in told:
                found[name.replace("/", "-")] = (name, *COMPANIONS.get(name, ()))
    return found


def make(out: Path = DOCS) -> list[Path]:
    """Writes every page and removes pages that are no longer made.

    Args:
        out: receives ``encoders.md``, ``systems.md``, ``seeds.md`` and the folder ``api``.

    Returns:
        The files written.
    """
    contents = {f"api/{name}.md": page(modules) for name, modules in pages().items()}
    contents["api/README.md"] = overview()
    contents["encoders.md"] = tables("encoder_tables").encoders_page()
    contents["systems.md"] = tables("system_tables").systems_page()
    contents["seeds.md"] = systems(json.loads((DOCS / "seeds.json").read_text(encoding="utf-8")))
    (out / "api").mkdir(parents=True, exist_ok=True)
    for stale in set((out / "api").glob("*.md")) - {out / name for name in contents}:
        stale.unlink()
    for name, text in contents.items():
        (out / name).write_text(text, encoding="utf-8")
    return [out / name for name in contents]


def tables(name: str) -> ModuleType:
    """A module that makes a page from result files, which stands beside this file."""
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(DOCS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def overview() -> str:
    """The list of all pages, each with the first line of its first module."""
    lines = [NOTICE, "", "# API", ""]
    for name, modules in pages().items():
        summary = (ast.get_docstring(parse(modules[0])[0]) or "").splitlines()[0]
        lines.append(f"- [{name.replace('-', '/')}]({name}.md): {inline(summary)}")
    return "\n".join(lines) + "\n"


def systems(seeds: dict[str, dict]) -> str:
    """Every item of the source documents as a table, with what became of it."""
    lines = [NOTICE.replace("the docstrings", "seeds.json"), "", "# What became of every item", ""]
    counts: dict[str, int] = {}
    for entry in seeds.values():
        counts[entry["status"]] = counts.get(entry["status"], 0) + 1
    lines += ["; ".join(f"{n} {status}" for status, n in sorted(counts.items())) + ".", ""]
    lines += ["| id | item | status | command | result | note |", "|---|---|---|---|---|---|"]
    for identifier, entry in seeds.items():
        command = f"`{entry['command']}`" if entry["command"] else ""
        cells = (identifier, entry["item"], entry["status"], command, entry["result"] or "", entry["note"])
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def parse(module: str) -> tuple[ast.Module, str]:
    """Syntax tree and text of a module."""
    text = (SOURCE / f"{module}.py").read_text(encoding="utf-8")
    return ast.parse(text), text


def page(modules: tuple[str, ...]) -> str:
    """One page: the modules one after the other."""
    text = "\n".join([NOTICE, *(line for module in modules for line in describe_module(module))])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def describe_module(module: str) -> Iterator[str]:
    """Docstring, constants, classes and functions of one module, in the order of the source."""
    tree, text = parse(module)
    yield from ("", f"# prismat.{module.replace('/', '.')}", "")
    yield from markdown(ast.get_docstring(tree) or "")
    yield from constants(tree, text)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from describe_class(node, text)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield from describe(node.name, node, text, "##")


def constants(tree: ast.Module, text: str) -> Iterator[str]:
    """Public names that are followed by a string which says what they are."""
    rows = []
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        said = after.value if isinstance(after, ast.Expr) else None
        if not (isinstance(said, ast.Constant) and isinstance(said.value, str)):
            continue
        name = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(name, ast.Name) and not name.id.startswith("_"):
            value = source(getattr(node, "value", None), text)
            shown = f"`{name.id} = {value}`" if len(value) <= 60 else f"`{name.id}`"
            rows.append(f"- {shown}: {inline(' '.join(said.value.split()))}")
    if rows:
        yield from ("", *rows)


def describe_class(node: ast.ClassDef, text: str) -> Iterator[str]:
    """A class, its constructor's signature, and its public methods and properties."""
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    made = next((m for m in methods if m.name == "__init__"), None)
    arguments = signature(made, text)[1:] if made else fields(node, text)
    yield from ("", f"## {node.name}", "", *fenced(f"class {node.name}", arguments, ""), "")
    yield from markdown(ast.get_docstring(node) or "")
    for method in methods:
        if not method.name.startswith("_") and ast.get_docstring(method):
            yield from describe(f"{node.name}.{method.name}", method, text, "###")


def describe(name: str, node: ast.FunctionDef, text: str, level: str) -> Iterator[str]:
    """A function, a method or a property."""
    arguments = signature(node, text)
    kinds = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
    if arguments[:1] in (["self"], ["cls"]):
        arguments = arguments[1:]
    returns = f" -> {source(node.returns, text)}" if node.returns else ""
    yield from ("", f"{level} {name}", "")
    if kinds & {"property", "cached_property"}:
        yield f"Property{f', `{returns[4:]}`' if returns else ''}."
    else:
        yield from fenced(f"def {node.name}", arguments, returns)
    yield ""
    yield from markdown(ast.get_docstring(node) or "")


def fields(node: ast.ClassDef, text: str) -> list[str]:
    """Fields of a dataclass as arguments; other classes have none."""
    if not any("dataclass" in source(decorator, text) for decorator in node.decorator_list):
        return []
    found = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and "ClassVar" not in source(item.annotation, text):
            default = f" = {factory(item.value, text)}" if item.value is not None else ""
            found.append(f"{source(item.target, text)}: {source(item.annotation, text)}{default}")
    return found


def factory(value: ast.expr, text: str) -> str:
    """A default; ``field(default_factory=X)`` reads ``X()``."""
    for keyword in value.keywords if isinstance(value, ast.Call) else []:
        if keyword.arg == "default_factory":
            made = keyword.value
            return source(made.body, text) if isinstance(made, ast.Lambda) else f"{source(made, text)}()"
    return source(value, text)


def signature(node: ast.FunctionDef, text: str) -> list[str]:
    """Arguments with annotation and default."""
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + list(given.defaults)
    found = [argument(a, d, text) for a, d in zip(plain, defaults, strict=True)]
    if given.vararg:
        found.append("*" + argument(given.vararg, None, text))
    elif given.kwonlyargs:
        found.append("*")
    found += [argument(a, d, text) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return found + (["**" + argument(given.kwarg, None, text)] if given.kwarg else [])


def argument(node: ast.arg, default: ast.expr | None, text: str) -> str:
    """One argument."""
    annotation = f": {source(node.annotation, text)}" if node.annotation else ""
    equals = " = " if annotation else "="
    return f"{node.arg}{annotation}{f'{equals}{source(default, text)}' if default else ''}"


def source(node: ast.AST | None, text: str) -> str:
    """The text of a node in one line, as it stands in the file."""
    if not isinstance(node, (ast.expr, ast.stmt)) or node.end_lineno is None:
        return ""
    lines = encoded_lines(text)[node.lineno - 1 : node.end_lineno]
    lines[-1] = lines[-1][: node.end_col_offset]
    lines[0] = lines[0][node.col_offset :]
    return " ".join(b" ".join(lines).decode().split())


@lru_cache(maxsize=8)
def encoded_lines(text: str) -> list[bytes]:
    """Lines as the syntax tree counts them, in bytes, split once and not for every node."""
    return text.encode().split(b"\n")


def fenced(head: str, arguments: list[str], tail: str) -> list[str]:
    """A signature as a code block, one argument a line where it is long."""
    brackets = "" if head.startswith("class") and not arguments else f"({', '.join(arguments)})"
    if len(head + brackets + tail) <= 100:
        return ["```python", f"{head}{brackets}{tail}", "```"]
    return ["```python", f"{head}(", *(f"    {a}," for a in arguments), f"){tail}", "```"]


def markdown(docstring: str) -> Iterator[str]:
    """A Google-style docstring as Markdown: sections become lists, indented text and equations stay."""
    section, block = "", []
    for line in [*docstring.splitlines(), ""]:
        heading = _HEADING.match(line)
        if heading is None and line.strip():
            block.append(line)
            continue
        yield from entries(block, section) if section else paragraph(block)
        if heading is None and section and block:
            section = ""
        block = []
        if heading is not None:
            section = heading[1]
            yield from (f"**{section}**", "")


def paragraph(block: list[str]) -> Iterator[str]:
    """Lines of running text, of an indented block or of equations."""
    if not block:
        return
    if all(line.startswith("    ") for line in block):
        yield from ("```text", *(line[4:] for line in block), "```", "")
    elif all(_EQUATION.match(line) for line in block):
        yield from ("```text", *block, "```", "")
    else:
        yield from (*(inline(line) for line in block), "")


def entries(block: list[str], section: str) -> Iterator[str]:
    """The entries of a section as a list; what a function returns has no name."""
    if not block:
        return
    rows: list[str] = []
    for line in block:
        entry = _ENTRY.match(line.strip()) if section in _ENTRY_SECTIONS else None
        starts = len(line) - len(line.lstrip()) == 4
        if starts and entry:
            rows.append(f"- `{entry[1]}`: {inline(entry[2])}")
        elif rows:
            rows[-1] += f" {inline(line.strip())}"
        else:
            rows.append(f"- {inline(line.strip())}")
    yield from (*rows, "")


def inline(text: str) -> str:
    """Roles and double backticks become single ones; a tag that is none is escaped."""
    text = re.sub(r":\w+:`([^`]+)`", r"`\1`", text).replace("``", "`").removesuffix("::")
    parts = text.split("`")
    parts[::2] = [re.sub(r"<(?=[A-Za-z/!])", r"\\<", part) for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    make()
