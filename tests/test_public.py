import importlib
import inspect
import subprocess
import sys

import pytest

import prismat


@pytest.mark.parametrize("name", prismat.__all__)
def test_every_public_name_is_a_thing_with_a_docstring(name):
    first = getattr(prismat, name)
    # Loading its module must not put the module in place of the name.
    importlib.import_module(prismat._HOMES[name])
    assert getattr(prismat, name) is first
    assert not inspect.ismodule(first)
    assert callable(first)
    assert inspect.getdoc(first)


def test_names_are_listed_and_unknown_ones_refused():
    assert set(dir(prismat)) >= set(prismat.__all__)
    assert len(set(prismat.__all__)) == len(prismat.__all__) <= 20
    with pytest.raises(AttributeError, match="module 'prismat' has no attribute 'nothing'"):
        prismat.nothing  # noqa: B018


def test_every_name_is_known_to_type_checkers():
    source = inspect.getsource(prismat)
    block = source.split("if TYPE_CHECKING:")[1].split("_HOMES")[0]
    assert all(f"import {name} as {name}\n" in block for name in prismat.__all__)


def test_import_loads_nothing_heavy_and_touches_no_file(tmp_path):
    program = (
        "import builtins, os, sys\n"
        "before = set(os.listdir('.'))\n"
        "def audit(event, details):\n"
        "    if event == 'open' and any(c in str(details[1] or '') for c in 'wax+'):\n"
        "        sys.exit(f'writes {details[0]}')\n"
        "    if event in ('os.mkdir', 'os.remove', 'os.rename', 'socket.connect', 'subprocess.Popen'):\n"
        "        sys.exit(event)\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(audit)\n"
        "import prismat\n"
        "heavy = {'torch', 'numpy', 'pymatgen', 'transformers', 'scipy', 'pyarrow', 'matplotlib', 'gemmi'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert set(os.listdir('.')) == before\n"
        "print('quiet')\n"
    )
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (found.stdout, found.stderr, found.returncode) == ("quiet\n", "", 0)
