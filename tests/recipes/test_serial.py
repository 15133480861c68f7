import dataclasses
import json
from typing import Literal, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.recipes.base import Job, Recipe
from prismat.recipes.serial import from_json, to_json

PLAIN = to_json(Job())


def through_text(config):
    return json.loads(json.dumps(to_json(config)))


def test_the_default_recipe_survives():
    assert from_json(Recipe, through_text(Recipe())) == Recipe()
    assert from_json(Job, through_text(Job())) == Job()


def changed(config):
    """The same tree with every number and flag changed, save what would then make no sense."""
    values = {}
    hints = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            values[field.name] = changed(value)
        elif isinstance(value, bool):
            values[field.name] = not value
        elif isinstance(value, int) and get_origin(hints[field.name]) is not Literal:
            values[field.name] = 2 * value or 1
    try:
        return dataclasses.replace(config, **values)
    except BadInputError:
        return config


def test_a_recipe_that_differs_everywhere_survives():
    recipe = changed(Recipe())
    assert recipe != Recipe()
    assert from_json(Recipe, through_text(recipe)) == recipe


@given(
    rate=st.floats(allow_nan=False, allow_infinity=False),
    fractions=st.tuples(*[st.floats(0, 1)] * 3),
    weights=st.dictionaries(st.text(max_size=8), st.floats(0, 10), max_size=3),
    windows=st.lists(st.sampled_from(["structure", "text", "xrd"]), max_size=3),
    stages=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 9)), max_size=3),
)
def test_any_value_survives_to_the_last_bit(rate, fractions, weights, windows, stages):
    job = Job()
    objective = dataclasses.replace(job.recipe.objective, weights=weights)
    optimizer = dataclasses.replace(job.train.optimizer, learning_rate=rate)
    payload = PLAIN | {"train": {"curriculum": [{"start": s, "weights": {"a-b": w}} for s, w in stages]}}
    curriculum = from_json(Job, payload).train.curriculum
    assert [(s.start, s.weights["a-b"]) for s in curriculum] == stages
    job = Job(
        recipe=dataclasses.replace(job.recipe, objective=objective, windows=tuple(windows)),
        train=dataclasses.replace(job.train, optimizer=optimizer, curriculum=curriculum),
        split=dataclasses.replace(job.split, fractions=fractions),
    )
    assert from_json(Job, through_text(job)) == job


def test_fields_left_out_keep_their_defaults():
    job = from_json(Job, {"recipe": {"name": "mine"}})
    assert job == Job(recipe=Recipe(name="mine"))


def test_whole_numbers_become_floats_where_floats_are_wanted():
    job = from_json(Job, {"train": {"optimizer": {"learning_rate": 1}}})
    assert isinstance(job.train.optimizer.learning_rate, float)


def test_optional_values():
    assert from_json(Job, {"train": {"optimizer": {"bf16": None}}}).train.optimizer.bf16 is None
    assert from_json(Job, {"train": {"optimizer": {"bf16": True}}}).train.optimizer.bf16 is True


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"recipe": {"nmae": "x"}}, r"^recipe: unknown setting 'nmae'\. Known: .*name"),
        ({"seed": 1}, r"^config: unknown setting 'seed'\. Known: fine_tune, recipe, select, split, train"),
        (
            {"recipe": {"windows": ["structure", "smell"]}},
            r"recipe\.windows: 'smell' is none of \['structure'",
        ),
        ({"recipe": {"projection": {"heads": "many"}}}, r"recipe\.projection\.heads: 'many' is none of"),
        ({"train": {"steps": "many"}}, r"train\.steps: 'many' is not of type int"),
        ({"train": {"steps": 1.5}}, r"train\.steps: 1\.5 is not of type int"),
        ({"train": {"steps": True}}, r"train\.steps: True is not of type int"),
        ({"train": {"optimizer": {"learning_rate": "fast"}}}, r"train\.optimizer\.learning_rate: 'fast'"),
        ({"train": {"optimizer": {"learning_rate": True}}}, r"train\.optimizer\.learning_rate: True"),
        ({"train": 3}, r"train: expected an object, found 3"),
        ({"recipe": {"windows": 3}}, r"recipe\.windows: expected a list, found 3"),
        ({"recipe": {"windows": "text"}}, r"recipe\.windows: expected a list, found 'text'"),
        ({"split": {"fractions": [0.5, 0.5]}}, r"split\.fractions: expected 3 values, found 2"),
        ({"recipe": {"objective": {"weights": [1]}}}, r"recipe\.objective\.weights: expected an object"),
        ({"train": {"curriculum": [{"start": 0.5}]}}, r"train\.curriculum: setting 'weights' is missing"),
        ([], r"config: expected an object"),
    ],
)
def test_errors_name_the_place(payload, message):
    with pytest.raises(BadInputError, match=message):
        from_json(Job, payload)
