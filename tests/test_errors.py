import pickle

import pytest

from prismat.errors import BadInputError, MismatchError, MissingExtraError, PrismatError, VersionError


def test_message_names_record_field_and_remedy():
    error = BadInputError("not a number", record="row 7", field="density", remedy="Correct it.")
    assert str(error) == "record 'row 7', density: not a number. Correct it."
    assert str(BadInputError("no rows")) == "No rows."
    assert str(BadInputError("no rows", field="table")) == "table: no rows."


def test_at_fills_in_the_record_once():
    error = BadInputError("too long", field="text", remedy="Cut it.").at("a")
    assert (error.record, error.field, error.remedy) == ("a", "text", "Cut it.")
    assert error.at("b").record == "a"


def test_parts_survive_a_process_border():
    error = pickle.loads(pickle.dumps(BadInputError("p", record="r", field="f", remedy="M.")))
    assert isinstance(error, BadInputError)
    assert (error.problem, error.record, error.field, error.remedy) == ("p", "r", "f", "M.")


@pytest.mark.parametrize("kind", [BadInputError, MismatchError, VersionError])
def test_all_are_prismat_errors(kind):
    with pytest.raises(PrismatError):
        raise kind("x")


def test_missing_extra_says_what_to_install():
    error = MissingExtraError("transformers", "text")
    assert str(error) == "transformers is not installed. Run: pip install 'prismat[text]'"
    assert isinstance(error, PrismatError)
