import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prismat.errors import BadInputError
from prismat.material import Property
from prismat.search.filters import SYSTEMS, Filter
from prismat.search.language import Words, parse_words, read_words, write_words
from prismat.search.query import Query
from prismat.search.steer import Steer


def test_everything_at_once():
    query = read_words(
        "garnet not iron +Ca -Fe only:Ca,Si,O density:3..5 sites:..40 system:cubic sg:221..230 elements:2..4 "
        'like:amcsd-1 unlike:"my record" weight:text=2 k:25'
    )
    assert query.text == "garnet"
    assert query.steer == Steer(("iron",), ("amcsd-1",), ("my record",))
    assert query.filter == Filter(
        with_elements=("Ca",),
        without_elements=("Fe",),
        only_elements=("Ca", "Si", "O"),
        n_sites=(None, 40),
        properties={"density": (3.0, 5.0)},
        spacegroup_number=(221, 230),
        crystal_systems=("cubic",),
        n_elements=(2, 4),
    )
    assert (query.weights, query.k) == ({"text": 2.0}, 25)


@pytest.mark.parametrize(
    "text",
    [
        "Cu-Zn alloy",
        "NaCl structure",
        "α -phase of SiO2",
        "the system: MgO - FeO",
        "ratio 1:2 at +25 and -10",
        "perovskite-type (Ca,Sr)TiO3",
        "see http://example.org/a..b",
        'a 5" wafer',
        "Na + Cl",
        "nothing, notable; knot",
        "岩塩の結晶構造",
        "<script>alert(1)</script>",
    ],
)
def test_plain_prose_stays_text(text):
    query = read_words(text)
    assert (query.text, query.parts, query.filter) == (text, ("text",), Filter())
    assert write_words(query) == text


@pytest.mark.parametrize(
    ("line", "text", "avoided"),
    [
        ("garnet not iron", "garnet", ("iron",)),
        ("garnet NOT iron oxide", "garnet oxide", ("iron",)),
        ('garnet not "iron oxide"', "garnet", ("iron oxide",)),
        ("garnet not “iron oxide”", "garnet", ("iron oxide",)),
        ("cubic, not a perovskite.", "cubic,", ("perovskite",)),
        ("garnet not iron not calcium", "garnet", ("iron", "calcium")),
        ('"not" garnet', "not garnet", ()),
        ('"garnet not iron -Fe"', "garnet not iron -Fe", ()),
        (r'"a \"quoted\" back\\slash"', 'a "quoted" back\\slash', ()),
    ],
)
def test_what_is_avoided_and_what_is_quoted(line, text, avoided):
    query = read_words(line)
    assert (query.text, query.steer.not_text) == (text, avoided)
    assert query.filter.is_empty


def test_conditions_in_their_forms():
    assert read_words("a −Fe -Mn,Ni +Ca,Si").filter == Filter(("Ca", "Si"), ("Fe", "Mn", "Ni"))
    assert read_words("a sg:225 sites:2 elements:3..").filter == Filter(
        n_sites=(2, 2), spacegroup_number=(225, 225), n_elements=(3, None)
    )
    assert read_words("a gap:.. x.y:-1.5e-3..2").filter.properties == {
        "gap": (None, None),
        "x.y": (-0.0015, 2.0),
    }
    assert read_words("a system:cubic,hexagonal system:trigonal").filter.crystal_systems == (
        *("cubic", "hexagonal", "trigonal"),
    )
    assert read_words("like:a like:b").steer.like == ("a", "b")
    assert read_words("a k:3", k=7).k == 3
    assert read_words("a", k=7).k == 7


def test_words_need_not_make_a_query():
    words = parse_words("-Fe density:3..")
    assert words == Words(filter=Filter(without_elements=("Fe",), properties={"density": (3.0, None)}))
    assert parse_words("not iron").steer == Steer(("iron",))
    assert parse_words(' "" ') == Words()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "q: no words to search by. Say what to look for"),
        ("+Ca density:3..5", "q: no words to search by"),
        ("not iron", "the query says only what is not wanted"),
        ("unlike:a", "the query says only what is not wanted"),
        ("garnet not", r"nothing follows 'not' \(at 'not'\). Write not iron"),
        ("garnet not -Fe", r"'not' wants a word after it \(at '-Fe'\)"),
        ("garnet not not iron", "'not' wants a word after it"),
        ("garnet not ,", "'not' wants a word after it"),
        ('garnet "iron', r"a quote is not closed \(at '\"iron'\). Close it, or leave it out"),
        ("garnet “iron", "a quote is not closed"),
        ('like:"a b', "a quote is not closed"),
        ("garnet -Qq", r"unknown element 'Qq' \(at '-Qq'\). Write symbols such as"),
        ("garnet only:Ca,", r"cannot read the elements \(at 'only:Ca,'\). Write only:Ca,Si,O"),
        ("garnet density:3..x", r"cannot read the range \(at 'density:3..x'\). Write density:3..5"),
        ("garnet density:5..3", "filter density: the range 5.0 to 3.0 is empty"),
        ("garnet sites:many", r"cannot read the range \(at 'sites:many'\). Write sites:2..8"),
        ("garnet sg:9999999999", "cannot read the range"),
        ("garnet sites:2..3 sites:4..5", r"n_sites is given twice \(at 'sites:4..5'\). Say it once"),
        ("garnet gap:1.. gap:..2", "gap is given twice"),
        ("garnet system:cubick", r"unknown crystal system 'cubick'.*Use triclinic, monoclinic"),
        ("garnet like:a unlike:a", "'a' is both wanted and not wanted"),
        ('like:"" a', r"an empty id \(at 'like:'\). Write like:ID"),
        ("garnet weight:text", r"cannot read the weight.*Write weight:text=2"),
        ("garnet weight:xrd=1", "weight 1.0 for 'xrd'"),
        ("garnet k:many", r"cannot read the number of results.*Write k:20"),
        ("garnet k:0", "k is 0"),
        ("garnet not " + " not ".join("bcdefghijklmnopqr"), "steer not_text: 17 entries. Give at most 16"),
        ("garnet " + " ".join(f"like:{i}" for i in range(101)), "steer like: 101 entries. Give at most 100"),
        ("a" * 100_000, "the query has 100,000 characters. Give at most 20,000"),
        ("a" * 20_001, "the text has 20001 characters"),
        ("a\ud800", "the text is not Unicode"),
    ],
)
def test_bad_lines_name_the_word_and_the_remedy(line, message):
    with pytest.raises(BadInputError, match=message):
        read_words(line)


words = st.text(max_size=12)
pieces = st.one_of(
    words,
    st.sampled_from(
        ["not", '"', "“", "”", "\\", "+Ca", "-Fe", "only:O", "like:", 'like:"', "a", "..", "k:2"]
    ),
    st.sampled_from(["sg:1..", "density:..3", "system:cubic", "weight:text=1", ":", "x:1..2", "−O", "the"]),
)


@given(st.lists(pieces, max_size=12), st.sampled_from(["", " "]))
def test_any_line_is_read_or_refused(parts, between):
    line = between.join(parts)
    try:
        query = read_words(line)
    except BadInputError as error:
        assert error.problem  # noqa: PT017  (either outcome is right)
        return
    again = read_words(write_words(query))
    assert again.to_json() == query.to_json()


@pytest.mark.parametrize(
    "piece", ["a ", '"', '"a" ', '\\"', "not a ", "like:a ", "+Ca,", "a:1..", "..", "“", "1", "x:", "- "]
)
def test_long_lines_take_bounded_time(piece):
    for length in (39_990, 100_000):
        line = (piece * length)[:length]
        start = time.process_time()
        with contextlib.suppress(BadInputError):
            parse_words(line)
        assert time.process_time() - start < 2


spoken = st.text(min_size=1, max_size=20).filter(lambda t: t.strip() and t.isprintable())
ids = st.lists(spoken, max_size=3, unique=True).map(tuple)
symbols = st.lists(st.sampled_from(["Ca", "Fe", "O", "H", "U"]), max_size=3, unique=True).map(tuple)
ends = st.one_of(st.none(), st.floats(-1e6, 1e6))
whole = st.one_of(st.none(), st.integers(0, 500))


def pair(side):
    return st.tuples(side, side).filter(lambda p: None in p or p[0] <= p[1])


conditions = st.tuples(
    symbols,
    symbols,
    symbols,
    pair(whole),
    st.dictionaries(st.sampled_from(["density", "band_gap", "e/f"]), pair(ends), max_size=2),
    pair(whole),
    st.lists(st.sampled_from(list(SYSTEMS)), max_size=2, unique=True).map(tuple),
    pair(whole),
)


@given(spoken, ids, ids, conditions, st.integers(1, 99))
def test_a_query_of_words_is_written_and_read_back(text, avoided, like, given_, k):
    query = Query(text, filter=Filter(*given_), k=k, steer=Steer(avoided, like), weights={"text": 0.3})
    assert read_words(write_words(query)).to_json() == query.to_json()


def test_what_has_no_words_is_refused():
    query = Query("a", measured={"properties": {"gap": Property(1.0, "eV")}})
    with pytest.raises(BadInputError, match="the query's properties cannot be said in words"):
        write_words(query)
    with pytest.raises(BadInputError, match="a name in the query cannot be said in words"):
        write_words(Query("a", filter=Filter(properties={"band gap": (1.0, None)})))
