"""The input file."""

from dataclasses import replace

import numpy as np

import helpers_compute as help_compute
from prismat.compute.abinit_input import input_text
from prismat.compute.settings import AbinitSettings


def variables(text):
    """Values by name, as words."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith(" "):
            found[name] += words
        else:
            name, *found_here = words
            found[name] = found_here
    return found


def test_salt(tmp_path):
    plan = help_compute.plan_of(help_compute.SALT, tmp_path, AbinitSettings())
    said = variables(input_text(plan, AbinitSettings()))
    lattice = np.array(said["rprim"], float).reshape(3, 3)
    assert said["acell"] == ["1", "1", "1"]
    # 5.6402 Å / 2 in bohr.
    np.testing.assert_allclose(lattice, 5.3292166 * (1 - np.eye(3)), atol=2e-5)
    assert (said["znucl"], said["typat"], said["natom"]) == (["11", "17"], ["1", "2"], ["2"])
    assert said["pseudos"] == ['"1.hgh,', '2.hgh"']
    np.testing.assert_allclose(np.array(said["xred"], float), [0, 0, 0, 0.5, 0.5, 0.5])
    assert (said["ecut"], said["occopt"], said["toldfe1"]) == (["15"], ["7"], ["1e-07"])
    assert said["ndtset"] == ["2"]
    assert (said["iscf2"], said["getden2"], said["prtdos2"]) == (["-3"], ["1"], ["2"])
    assert [int(n) for n in said["ngkpt2"]] == list(plan.k_points_dos)
    assert said["shiftk"] == ["0", "0", "0"]


def test_density_alone_is_one_run(tmp_path):
    settings = AbinitSettings(quantity="density")
    said = variables(input_text(help_compute.plan_of(help_compute.SALT, tmp_path), settings))
    assert said["ndtset"] == ["1"]
    assert not [name for name in said if name.endswith("2")]


def test_gentle_takes_smaller_steps_and_more_of_them(tmp_path):
    plan = help_compute.plan_of(help_compute.SALT, tmp_path)
    normal, gentle = (variables(input_text(plan, help_compute.SMALL, gentle)) for gentle in (False, True))
    assert float(gentle["diemix"][0]) < 0.7
    assert int(gentle["nstep"][0]) == 3 * int(normal["nstep"][0])
    assert "diemix" not in normal


def test_order_of_sites_is_kept(tmp_path):
    crystal = replace(help_compute.SALT, sites=help_compute.SALT.sites[::-1])
    said = variables(input_text(help_compute.plan_of(crystal, tmp_path), help_compute.SMALL))
    assert (said["znucl"], said["typat"]) == (["11", "17"], ["2", "1"])
