"""Abstracts from Crossref against a local server that speaks its protocol; JATS to plain text."""

import json
import sqlite3
import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers_cod import WORKS, serve_crossref
from helpers_server import Answer
from prismat.errors import BadInputError
from prismat.fetch.errors import FetchError
from prismat.sources.crossref import AT_ONCE, AbstractMirror, plain_doi
from prismat.sources.jats import MAX_CHARACTERS, plain_abstract


@pytest.fixture
def mirror(server, tmp_path):
    return AbstractMirror(tmp_path / "crossref", serve_crossref(server), "someone@example.org")


def test_abstracts_of_a_list_each_doi_asked_once(server, client, mirror):
    dois = ["10.1000/abc.2", "10.1107/s0365110x65002244", "10.1000/abc.2", "10.9999/unknown"]
    done = []
    mirror.obtain(dois, client, done.append)
    assert list(mirror.abstracts(dois)) == ["Salts & oxides", "", "Salts & oxides", ""]
    assert done == [4]
    mirror.obtain(dois, client)
    assert server.asked("/works") == 1
    asked = server.seen[0].query
    assert asked["filter"] == ["doi:10.1000/abc.2,doi:10.1107/s0365110x65002244,doi:10.9999/unknown"]
    assert (asked["rows"], asked["select"], asked["mailto"]) == (
        ["3"],
        ["DOI,abstract"],
        ["someone@example.org"],
    )


def test_only_new_dois_are_asked_for(server, client, mirror):
    mirror.obtain(["10.1000/abc.2"], client)
    mirror.obtain(["10.1000/abc.2", "10.9999/new"], client)
    assert server.seen[1].query["filter"] == ["doi:10.9999/new"]


def test_a_doi_with_a_comma_and_one_of_another_agency_are_asked_alone(server, client, mirror):
    mirror.obtain(["10.1000/abc,1", "10.5281/zenodo,1"], client)
    assert list(mirror.abstracts(["10.1000/abc,1", "10.5281/zenodo,1"])) == ["SrTiO3 for T < 105 K.", ""]
    assert server.asked("/works") == 0
    assert server.asked("/works/10.1000%2Fabc%2C1") == 1


def test_a_refused_list_is_asked_for_one_by_one(server, client, mirror):
    server.faults["/works"] = [Answer.json({"status": "failed", "message-type": "validation-failure"}, 400)]
    mirror.obtain(["10.1000/abc.2", "10.1000/bad<"], client)
    assert list(mirror.abstracts(["10.1000/abc.2", "10.1000/bad<"])) == ["Salts & oxides", ""]


def test_many_dois_in_batches_and_a_stop_between_them(server, client, mirror):
    dois = [f"10.1000/{n}" for n in range(2 * AT_ONCE + 3)]
    answer = server.routes["/works"]
    server.routes["/works"] = lambda r: answer(r) if server.asked("/works") == 1 else Answer(status=503)
    with pytest.raises(FetchError, match="HTTP 503, 3 times"):
        mirror.obtain(dois, client)
    server.routes["/works"] = answer
    before = server.asked("/works")
    mirror.obtain(dois, client)
    # The first batch is not asked for again.
    assert server.asked("/works") == before + 2
    assert len(list(mirror.abstracts(dois))) == len(dois)
    assert len(server.seen[-1].query["filter"][0].split(",")) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Answer(status=429, headers={"Retry-After": "1"}),
        Answer(status=500),
        Answer.html(),
        Answer(b"{", claim=99),
    ],
    ids=["429", "500", "html", "half a body"],
)
def test_passing_failures(server, client, mirror, fault):
    server.faults["/works"] = [fault]
    mirror.obtain(["10.1000/abc.2"], client)
    assert list(mirror.abstracts(["10.1000/abc.2"])) == ["Salts & oxides"]
    assert server.asked("/works") == 2


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"message": {"works": []}}, "message.items"),
        ({"items": []}, "message.items"),
        ([], "message.items"),
        ({"message": {"items": [{"doi": "10.1/x"}]}}, "DOI of a work"),
        ({"message": {"items": [{"DOI": "10.1/x", "abstract": ["x"]}]}}, "abstract of a work"),
    ],
)
def test_a_changed_answer_is_said(server, client, mirror, answer, field):
    server.routes["/works"] = lambda _: Answer.json(answer)
    with pytest.raises(FetchError, match=f"no {field}: the service may have changed"):
        mirror.obtain(["10.1000/abc.2"], client)
    with closing(sqlite3.connect(mirror.path)) as connection:
        assert connection.execute("SELECT count(*) FROM works").fetchone() == (0,)


def test_fingerprint_follows_the_abstracts(server, client, mirror, tmp_path, monkeypatch):
    dois = ["10.1000/abc.2", "10.9999/unknown"]
    mirror.obtain(dois, client)
    assert mirror.fingerprint(dois) == mirror.fingerprint(dois)
    monkeypatch.setitem(WORKS, "10.1000/abc.2", "<p>Other</p>")
    other = AbstractMirror(tmp_path / "other", server.url)
    other.obtain(dois, client)
    assert mirror.fingerprint(dois) != other.fingerprint(dois)


def test_errors_before_fetching(client, mirror):
    with pytest.raises(BadInputError, match="Fetch the abstracts first"):
        list(mirror.abstracts(["10.1/x"]))
    mirror.obtain(["10.1000/abc.2"], client)
    with pytest.raises(BadInputError, match=r"10\.1/x was not asked for"):
        list(mirror.abstracts(["10.1/x"]))


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("10.1107/S0365110X65002244", "10.1107/s0365110x65002244"),
        ("https://doi.org/10.1000/ABC", "10.1000/abc"),
        ("doi: 10.1000/abc", "10.1000/abc"),
        ("http://dx.doi.org/10.1000/abc ", "10.1000/abc"),
        ("n/a", ""),
        ("10.1000", ""),
        ("10.1000/a b", ""),
    ],
)
def test_plain_doi(text, doi):
    assert plain_doi(text) == doi


@pytest.mark.parametrize(
    ("jats", "plain"),
    [
        ("<jats:p>La<jats:sub>2</jats:sub>CuO<jats:sub>4</jats:sub></jats:p>", "La2CuO4"),
        ("<jats:sec><jats:title>Aim</jats:title><jats:p>x</jats:p></jats:sec>", "Aim x"),
        ("<jats:title>Abstract</jats:title>\n <jats:p>We  report</jats:p>", "We report"),
        ("<p>Abstract algebra of <i>crystals</i></p>", "Abstract algebra of crystals"),
        ("at T&lt;T<sub>c</sub> &amp;amp; &#x3b1;-Fe", "at T<Tc & α-Fe"),
        ("for a<b and c>d, x < 5 and y > 3", "for a<b and c>d, x < 5 and y > 3"),
        (
            "&lt;jats:p&gt;encoded &lt;jats:italic&gt;markup&lt;/jats:italic&gt;&lt;/jats:p&gt;",
            "encoded markup",
        ),
        (
            "gap <jats:inline-formula><jats:alternatives><jats:tex-math>$E_g$</jats:tex-math>"
            '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:msub><mml:mi>E</mml:mi>'
            "<mml:mi>g</mml:mi></mml:msub></mml:math></jats:alternatives></jats:inline-formula>.",
            "gap Eg.",
        ),
        ("<script>alert(1)</script>safe<!-- hidden --><new:tag>kept</new:tag>", "safekept"),
        ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>&a;<p><![CDATA[raw]]></p>', None),
        ("", ""),
    ],
)
def test_plain_abstract(jats, plain):
    found = plain_abstract(jats)
    assert found == plain if plain is not None else "raw" in found


@pytest.mark.parametrize("piece", ["<", "<a", "</", "<!--", "<tex-math>", "&amp;", "<![CDATA[", "< "])
def test_plain_abstract_is_fast_on_nonsense(piece):
    started = time.perf_counter()
    assert len(plain_abstract(piece * 200_000)) <= MAX_CHARACTERS
    assert time.perf_counter() - started < 2.0


@given(st.text(alphabet=st.sampled_from("<>/&;!?#x3 amp:jats\n[]-pT"), max_size=80))
def test_plain_abstract_takes_any_text(text):
    found = plain_abstract(text)
    assert "\n" not in found
    assert "<p>" not in found.replace(" ", "") or "<" in text or "&" in text
    assert json.dumps(found)


@given(st.text(alphabet="abcdef XYZ.,()0123456789αβ−", max_size=60))
def test_text_without_markup_stays(words):
    assert plain_abstract(f"<jats:p>{words}</jats:p>") == " ".join(words.split())
