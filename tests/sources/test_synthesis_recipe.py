import json
import lzma
from itertools import islice

import pytest

from helpers_shared import SHARED
from prismat.crystal import Crystal
from prismat.errors import BadInputError
from prismat.sources.json_rows import json_members
from prismat.sources.synthesis_recipe import composition_key, read_recipe


def material(formula, elements=None, amount="1", **others):
    parts = [{"formula": formula, "elements": elements or {}, "amount": amount}]
    return {
        "material_string": formula,
        "material_formula": formula,
        "composition": parts,
        "mp_id": None,
        **others,
    }


def heating(temperature, hours, token="calcined"):
    conditions = {
        "heating_temperature": [
            {"values": [temperature], "max_value": temperature, "min_value": None, "units": "C"}
        ],
        "heating_time": [{"values": [hours], "max_value": hours, "min_value": None, "units": "h"}],
    }
    return {"token": token, "type": "HeatingOperation", "conditions": conditions}


def reaction(**changes):
    return {
        "doi": "10.1/abc",
        "targets_string": ["BaTiO3"],
        "target": material("BaTiO3", {"Ba": "1", "Ti": "1", "O": "3"}, mp_id="mp-5020"),
        "precursors": [material("BaCO3"), material("TiO2"), material("TiO2")],
        "operations": [
            {"token": "mixed", "type": "Mixing", "conditions": None},
            heating(900.0, 12.0),
            heating(1350.0, 4.0, "sintered"),
            {**heating(120.0, 24.0, "dried"), "type": "DryingOperation"},
        ],
        "paragraph_string": "Powders were <...> at last.",
        **changes,
    }


def test_a_reaction():
    found = read_recipe(reaction())
    assert (found.target, found.precursors, found.doi, found.mp_id) == (
        "BaTiO3",
        ("BaCO3", "TiO2"),
        "10.1/abc",
        "mp-5020",
    )
    assert (found.temperature, found.hours) == (1350.0, 16.0)
    assert found.text.startswith("Mix BaCO3 and TiO2; calcine at 900 °C for 12 h; sinter at 1350 °C")
    assert "Powders" not in found.text
    assert found.formulas == (composition_key({56: 1, 22: 1, 8: 3}),)


def test_what_no_step_tells_is_not_known():
    found = read_recipe(reaction(operations=[]))
    assert (found.temperature, found.hours, found.text) == (
        None,
        None,
        "React BaCO3 and TiO2. Product: BaTiO3.",
    )
    assert read_recipe(reaction(operations=None)).hours is None


def test_the_name_of_the_product_can_be_left_out():
    assert "BaTiO3" not in read_recipe(reaction(), name_target=False).text


def test_keys_do_not_depend_on_the_size_of_the_cell_or_the_order():
    assert composition_key({56: 1, 22: 1, 8: 3}) == composition_key({8: 12.0, 22: 4.0, 56: 4.0})
    assert composition_key({56: 1, 22: 1, 8: 3}) != composition_key({56: 1, 22: 1, 8: 2.99})


def test_components_count_with_their_amounts():
    target = material("0.5BaTiO3-0.5SrTiO3", mp_id=None)
    target["composition"] = [
        {"elements": {"Ba": "1", "Ti": "1", "O": "3"}, "amount": "0.5"},
        {"elements": {"Sr": "1", "Ti": "1", "O": "3"}, "amount": "0.5"},
    ]
    found = read_recipe(reaction(target=target, targets_string=[]))
    assert found.formulas == (composition_key({56: 0.5, 38: 0.5, 22: 1, 8: 3}),)


def test_formulas_with_letters_have_no_composition_but_those_without_have():
    target = material("Ba1-xSrxTiO3", {"Ba": "1-x", "Sr": "x", "Ti": "1", "O": "3"})
    strings = ["Ba1-xSrxTiO3", "Ba0.9Sr0.1TiO3", "SrTiO3", "nonsense", "", 5]
    found = read_recipe(reaction(target=target, targets_string=strings))
    assert found.formulas == tuple(
        composition_key(amounts) for amounts in ({56: 0.9, 38: 0.1, 22: 1, 8: 3}, {38: 1, 22: 1, 8: 3})
    )


def test_variables_and_additives_and_route():
    target = material("Ba1-xSrxMO3", additives=["Eu3+"], amounts_vars={"x": {"values": [0.1, 0.1, 0.25]}})
    target |= {"elements_vars": {"M": ["Ti", "Zr"]}}
    found = read_recipe(reaction(target=target, type="hydrothermal"))
    assert "(x = 0.1, 0.25; M = Ti, Zr)" in found.text
    assert (found.additives, found.route) == (("Eu3+",), "hydrothermal")
    older = material("Bax", amounts_vars={"x": ["0.1", "0.2"]}, elements_vars={})
    assert "(x = 0.1, 0.2)" in read_recipe(reaction(target=older)).text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"target": None}, "no formula of the product"),
        ({"target": {"material_formula": " "}}, "no formula of the product"),
        ({"precursors": []}, "no precursors"),
        ({"precursors": None}, "no precursors"),
        ({"operations": "heat it"}, "no list"),
    ],
)
def test_what_is_no_recipe(changes, problem):
    with pytest.raises(BadInputError, match=problem):
        read_recipe(reaction(**changes))


def test_keys_agree_with_those_of_crystals():
    lattice, frac = [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]], [[0.1 * n] * 3 for n in range(5)]
    sites = tuple(((z, 1.0),) for z in (56, 22, 8, 8, 8))
    import numpy as np

    crystal = Crystal(np.array(lattice), np.array(frac), sites)
    assert read_recipe(reaction()).formulas == (composition_key(crystal.composition),)


def test_the_published_reactions():
    path = SHARED / "synthesis_solid_state.json.xz"
    if not path.is_file():
        pytest.skip("synthesis_solid_state.json.xz is not in PRISMAT_SHARED_DATA")
    entries = [entry for name, entry in islice(json_members(path, "reactions"), 301) if name == "reactions"]
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        head = stream.read(20_000)
    assert entries[0] == json.JSONDecoder().raw_decode(head, head.index("[") + 2)[0]
    found = [read_recipe(entry) for entry in entries]
    assert len(found) == 300
    assert all(recipe.text.endswith(".") and "<...>" not in recipe.text for recipe in found)
    assert found[0].text.startswith(
        "Dry at 100 and 1000 °C; grind Ta2O5, BaCO3 and Ho2O3 in acetone; dry; heat at 1200 °C"
    )
