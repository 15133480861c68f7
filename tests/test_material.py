import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from prismat.errors import BadInputError
from prismat.material import Material, Property, Provenance, Reject
from prismat.measurements import Dos, Pattern

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_of_a_pymatgen_structure():
    material = Material.of(
        SALT, "salt", texts={"title": "Rock salt"}, properties={"gap": Property(8.5, "eV")}
    )
    assert material.id == "salt"
    assert material.structure.composition == {11: 4, 17: 4}
    np.testing.assert_allclose(material.structure.volume, 5.64**3)
    assert material.texts == {"title": "Rock salt"}
    assert material.properties["gap"].unit == "eV"
    assert material.provenance == Provenance()


def test_with_text_leaves_the_original_alone():
    plain = Material("a", texts={"title": "A"})
    richer = plain.with_text("keywords", "cubic").with_text("title", "B")
    assert richer.texts == {"title": "B", "keywords": "cubic"}
    assert plain.texts == {"title": "A"}


def test_reject_gives_the_problem_or_the_kind_of_error():
    named = Reject.because(
        "a", BadInputError("a site is empty", record="a", field="occupancy", remedy="Fix.")
    )
    assert named == Reject("a", "a site is empty")
    assert Reject.because("b", ValueError("bad number")) == Reject("b", "ValueError: bad number")


def test_a_measurement_of_another_kind_is_named():
    pattern = Pattern(np.arange(3.0), np.ones(3))
    material = Material("a", measurements={"xrd": pattern})
    assert material.measurement("xrd", Pattern) is pattern
    assert material.measurement("dos", Dos) is None
    with pytest.raises(BadInputError, match="record 'a', xrd: a Pattern where a Dos belongs"):
        material.measurement("xrd", Dos)
