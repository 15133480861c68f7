import json

import pytest
from helpers_problems import problem_of

from prismat.explain.match import explain_match
from prismat.explain.source import material_of, stored_windows
from prismat.search.query import Query


def test_an_explanation_is_the_library_s(api, served, some_id):
    query = {"text": "rock salt structure"}
    found = api.post("/v1/explain", json={"query": query, "id": some_id})
    assert found.status_code == 200, found.text
    kept = stored_windows(served.prismat, served.store, some_id)
    material = material_of(served.store, some_id)
    expected = explain_match(served.prismat, Query.from_json(json.dumps(query)), material, stored=kept)
    assert found.json() == json.loads(json.dumps(expected.to_dict()))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"query": {"text": "x"}, "id": "nobody"}, 404, "nobody"),
        ({"query": {}, "id": None}, 422, "id"),
        ({"query": {"text": "x"}, "id": "", "method": "guess"}, 422, "method"),
        ({"query": {"text": "x"}}, 422, "id"),
    ],
    ids=str,
)
def test_what_cannot_be_explained_is_told_why(api, body, status, words):
    problem_of(api.post("/v1/explain", json=body), status, words)


def test_an_empty_query_or_direction(api, some_id):
    problem_of(api.post("/v1/explain", json={"query": {}, "id": some_id}), 422, "empty")
    found = api.post("/v1/explain", json={"query": {"text": "x"}, "id": some_id, "direction": "up->down"})
    problem_of(found, 422, "up")


def test_without_a_store_the_remedy_is_told(bare, calls, some_id):
    with calls(bare) as api:
        problem_of(api.post("/v1/explain", json={"query": {"text": "x"}, "id": some_id}), 404, "--store")
