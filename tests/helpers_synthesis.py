"""Recipes for the crystals of the small set: two articles for some, and recipes without a structure."""

from dataclasses import replace
from functools import cache

import helpers_small as small
from prismat.elements import SYMBOLS
from prismat.material import Material, Property, Provenance, Reject
from prismat.modalities.properties import PropertiesSettings, PropertySpec
from prismat.modalities.windows import MeasuredSettings
from prismat.sources.synthesis_recipe import composition_key
from prismat.sources.synthesis_steps import Step
from prismat.sources.synthesis_text import compose
from prismat.training.windows import ViewConfig

ANIONS = {"O", "F", "Cl", "Br", "I", "S", "N", "C", "P"}


def precursors_of(symbols):
    """Carbonates and oxides by the first letter of the element, such as CaCO3 and TiO2."""
    metals = [s for s in symbols if s not in ANIONS] or list(symbols)
    return tuple(f"{s}CO3" if s in {"Ca", "Sr", "Ba", "Mg"} else f"{s}O" for s in metals)


def recipe(identifier, target, symbols, doi, structure=None, number=0, **tags):
    """One record as the synthesis source makes it."""
    precursors = precursors_of(symbols)
    temperature, hours = 600.0 + 10 * number, 2.0 + number % 7
    heat = Step("heat", "calcine", temperatures=((temperature,) * 2,), hours=((hours,) * 2,))
    text = compose(target, precursors, [Step("mix", "mix"), heat])
    known = {"gap": Property(0.1 * number, "eV"), "density": Property(3.0 + number % 5, "g/cm3")}
    conditions = {"synthesis_temperature": Property(temperature, "°C"), "heating_time": Property(hours, "h")}
    named = {"target": target, "precursors": ", ".join(precursors), "doi": doi, "publication": doi}
    return Material(
        identifier,
        structure,
        {"synthesis": text},
        properties=(known if structure is not None else {}) | conditions,
        tags={**named, **tags},
        provenance=Provenance("small", identifier, "CC0", "Nobody (2026)"),
    )


@cache
def recipes():
    """About 130 recipes."""
    rows = []
    crystals = [m for m in small.materials() if not isinstance(m, Reject) and m.structure.is_ordered]
    for number, m in enumerate(crystals):
        formula, symbols = m.structure.formula, m.structure.elements
        rows.append(recipe(f"r{number}", formula, symbols, f"10.1/{number}A", m.structure, number))
        if number % 5 == 0:
            rows.append(recipe(f"again{number}", formula, symbols, f"10.2/{number}", m.structure, number + 3))
    # The same article and target once more, and recipes of targets without a structure.
    rows.append(replace(rows[0], id="variant", tags={**rows[0].tags, "doi": "10.1/0a"}))
    for number, (a, b) in enumerate((("Li", "Co"), ("Na", "Mn"), ("Ca", "Ti"), ("Sr", "Fe"))):
        key = composition_key({SYMBOLS.index(a): 1, SYMBOLS.index(b): 1, 8: 2})
        rows.append(
            recipe(f"bare{number}", f"{a}{b}O2", (a, b, "O"), f"10.3/{number}", None, number, group=key)
        )
    return tuple(rows)


def source():
    """The recipes as a source."""
    return small.SmallSource(recipes())


def job(windows=("structure", "text", "properties"), **train):
    """A training of a second that reads recipes."""
    specs = PropertiesSettings((PropertySpec("gap", "eV"), PropertySpec("density", "g/cm3")))
    measured = MeasuredSettings(properties=specs if "properties" in windows else PropertiesSettings())
    views = ViewConfig(text={"synthesis": 1.0}, strain=0.0)
    recipe_ = small.tiny_recipe(windows=windows, views=views, measured=measured)
    return small.tiny_job(recipe_, **train)
