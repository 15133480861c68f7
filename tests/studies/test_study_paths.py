from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.recipes.base import Job
from prismat.recipes.serial import from_json, to_json
from prismat.studies.paths import changed


@dataclass(frozen=True)
class Inner:
    kind: Literal["one", "other", 3] = "one"
    pair: tuple[float, float] = (0.0, 1.0)
    many: tuple[int, ...] = ()
    by_name: dict[str, float] = field(default_factory=dict)
    limit: float | None = None
    is_on: bool = False
    raw: object = None


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    absent: Inner | None = None
    word: str = ""


@pytest.mark.parametrize(
    ("path", "text", "wanted"),
    [
        ("inner.kind", "other", Inner(kind="other")),
        ("inner.kind", "3", Inner(kind=3)),
        ("inner.pair", "0.5+2", Inner(pair=(0.5, 2.0))),
        ("inner.many", "1+2+3", Inner(many=(1, 2, 3))),
        ("inner.many", "none", Inner()),
        ("inner.by_name.text-xrd", "0.3", Inner(by_name={"text-xrd": 0.3})),
        ("inner.limit", "1e-3", Inner(limit=1e-3)),
        ("inner.limit", "none", Inner()),
        ("job.inner.is_on", "true", Inner(is_on=True)),
    ],
)
def test_a_setting_is_read_by_its_type(path, text, wanted):
    assert changed(Outer(), path, text) == Outer(inner=wanted)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("inner.kin", "one", r"inner\.kin: no setting 'kin'\. Did you mean 'kind'\? There are kind, pair"),
        (
            "inner.kind",
            "othr",
            r"inner\.kind: no value 'othr'\. Did you mean 'other'\? There are one, other, 3",
        ),
        ("inner.pair", "1", r"1 values where 2 belong\. Join them by \+"),
        ("inner.many", "1+x", r"'x' is not a whole number\. Give a whole number"),
        ("inner.limit", "much", r"'much' is not a number"),
        ("inner.is_on", "1", r"'1' is not true or false"),
        ("inner.raw", "x", r"cannot be given as text\. Write it into a job file"),
        ("inner", "x", r"inner: names a group of settings\. Go on with one of kind, pair"),
        ("absent.kind", "one", r"what 'kind' belongs to is switched off"),
        ("word.x", "one", r"what 'x' belongs to is '', which has no settings"),
    ],
)
def test_what_does_not_fit_names_what_does(path, text, message):
    with pytest.raises(BadInputError, match=message):
        changed(Outer(), path, text)


def test_a_job_keeps_all_else():
    job = changed(Job(), "recipe.projection.dim", "64")
    plain = to_json(Job())
    plain["recipe"]["projection"]["dim"] = 64
    assert job == from_json(Job, plain)


@given(st.text(max_size=30), st.text(max_size=10))
def test_any_text_changes_a_job_or_is_refused(path, text):
    try:
        made = changed(Job(), path, text)
    except BadInputError:
        return
    assert from_json(Job, to_json(made)) == made
