import json

import numpy as np
import pytest
from helpers_problems import problem_of

import helpers_crystals as real
from prismat.formats import to_cif
from prismat.search.language import read_words
from prismat.search.query import Query


def comparable(answer):
    """An answer without what differs from call to call."""
    return {name: value for name, value in answer.items() if name not in ("took_ms", "query")}


HALITE = real.crystals()["NaCl"]
QUERIES = {
    "words": Query("rock salt structure", k=5),
    "structure": Query(structure=HALITE, k=4),
    "filter": Query.from_json('{"text": "oxide", "filter": {"with_elements": ["O"]}, "k": 7}'),
    "steered": Query.from_json('{"text": "oxide", "steer": {"not_text": ["sulfide"]}, "k": 3}'),
    "both": Query("salt", HALITE, weights={"structure": 2.0}, k=3),
}


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_http_answers_as_the_library_does(api, served, name):
    query = QUERIES[name]
    found = api.post("/v1/search", content=query.to_json(), headers={"Content-Type": "application/json"})
    assert found.status_code == 200, found.text
    expected = served.engine.respond(Query.from_json(query.to_json()), served.confidence).to_dict()
    assert comparable(found.json()) == comparable(json.loads(json.dumps(expected)))
    assert len(found.json()["hits"]) == query.k


def test_words_in_the_address_are_the_same_query(api, served):
    found = api.get("/v1/search", params={"q": "oxide +O -Mg", "k": 4})
    assert found.status_code == 200, found.text
    expected = served.engine.respond(read_words("oxide +O -Mg", 4)).to_dict()
    assert comparable(found.json()) == comparable(json.loads(json.dumps(expected)))
    again = api.post("/v1/search", json=found.json()["query"])
    assert comparable(again.json()) == comparable(found.json())


def test_k_stands_in_the_words_or_beside_them(api):
    assert len(api.get("/v1/search", params={"q": "oxide k:3"}).json()["hits"]) == 3
    assert len(api.get("/v1/search", params={"q": "oxide"}).json()["hits"]) == 20
    assert len(api.get("/v1/search", params={"q": "oxide k:3", "k": 2}).json()["hits"]) == 2
    problem_of(api.get("/v1/search", params={"q": "oxide k:5000"}), 422, "5,000", "stream")


def test_words_alone_are_told_without_a_search(api):
    found = api.get("/v1/words", params={"q": "+Ca density:3..5"}).json()["query"]
    assert found["filter"]["with_elements"] == ["Ca"]
    assert found["filter"]["properties"] == {"density": [3.0, 5.0]}
    assert "text" not in found
    problem_of(api.get("/v1/words", params={"q": "density:5..3"}), 422, "range 5.0 to 3.0 is empty")


def test_a_stream_has_a_hit_a_line_and_an_end(api, served):
    found = api.post("/v1/search/stream", json={"text": "oxide", "k": 5000})
    assert found.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in found.text.splitlines()]
    assert lines[-1] == {"end": True, "matching": len(served.index)}
    assert [line["rank"] for line in lines[:-1]] == list(range(1, len(served.index) + 1))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, ("empty",)),
        ({"text": "x", "colour": 1}, ("colour",)),
        ({"text": "  "}, ("text", "characters")),
        ({"text": "a" * 20_001}, ("text", "20000")),
        ({"text": "x", "k": 0}, ("k",)),
        ({"text": "x", "k": 1001}, ("1,001", "1,000", "stream")),
        ({"text": "x", "weights": {"xrd": 1}}, ("weights",)),
        ({"text": "x", "filter": {"with_elements": ["Xx"]}}, ("Xx",)),
        ({"text": "x", "filter": {"properties": {"hardness": [1, 2]}}}, ("hardness", "This index has")),
        ({"text": "x", "filter": {"n_sites": [3]}}, ("filter.n_sites",)),
        ({"structure": "quartz"}, ("structure", "contents of a CIF")),
        ({"structure": "data_x\n_cell_length_a 1"}, ("No atoms",)),
        ({"structure": "../../etc/passwd"}, ("contents of a CIF",)),
        ({"xrd": {"two_theta": [1, 2], "intensity": [1, 2, 3]}}, ("2 angles but 3 intensities",)),
        ({"xrd": {"two_theta": [2, 1], "intensity": [1, 1]}}, ("powder pattern",)),
        ({"steer": {"like": ["nobody"]}}, ("nobody",)),
        ({"measured": {"smell": {}}}, ("smell",)),
        ({"measured": {"dos": {"energy": "x"}}}, ("measured.dos",)),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_a_bad_query_is_told_what_is_wrong(api, body, words):
    problem_of(api.post("/v1/search", json=body), 422, *words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", ("JSON",)),
        (b"[1]", ("object",)),
        (b'{"text": "x", "k": NaN}', ("k",)),
        (b'{"text": "\\ud800"}', ("text",)),
        (b"\xff\xfe\x00", ("",)),
        (b"[" * 100_000, ("",)),
    ],
)
def test_a_body_that_is_no_query_is_refused(api, content, words):
    found = api.post("/v1/search", content=content, headers={"Content-Type": "application/json"})
    assert found.status_code in (400, 422)
    problem_of(found, found.status_code, *words)


def test_markup_in_a_query_comes_back_as_json_only(api):
    found = api.get("/v1/search", params={"q": "<script>alert(1)</script>", "k": 1})
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("text", ["кварц", "石英", "the of and", "🧪 quartz", "a" * 20_000])
def test_any_words_are_answered(api, text):
    found = api.post("/v1/search", json={"text": text, "k": 1})
    assert found.status_code == 200
    assert np.isfinite(found.json()["hits"][0]["score"])


def test_a_structure_with_other_line_ends_is_read(api):
    cif = to_cif(HALITE).replace("\n", "\r\n")
    assert api.post("/v1/search", json={"structure": cif, "k": 1}).status_code == 200
