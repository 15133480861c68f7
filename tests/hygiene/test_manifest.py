import pytest

from helpers_hygiene import make_store, material, reject
from prismat.hygiene.manifest import manifest, manifest_lines, terms_of
from prismat.store import Store
from prismat.store_texts import write_texts


@pytest.mark.parametrize(
    ("licence", "terms"),
    [
        ("CC BY 4.0", []),
        ("CC0", []),
        ("MIT; Materials Project data CC BY 4.0", []),
        ("CC BY-NC-SA 4.0", ["non_commercial", "share_alike"]),
        ("CC-BY-ND", ["no_derivatives"]),
        ("for noncommercial use", ["non_commercial"]),
        ("Academic use only", ["research_only"]),
        ("ODbL 1.0", ["share_alike"]),
        ("Standard, and basalt", []),
        ("", ["not_stated"]),
        ("  ", ["not_stated"]),
    ],
)
def test_terms_are_read_from_the_words(licence, terms):
    assert terms_of(licence) == terms


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed") / "mixed"
    items = [
        material(f"a{k}", texts={"title": "T"}, source="A", licence="CC BY 4.0", citation="A (2020)")
        for k in range(3)
    ]
    items += [material("b", texts={"title": "T"}, source="B", licence="CC BY-NC-SA 4.0", citation="B (2021)")]
    items += [material("c", texts={"title": "T"}, source="user", licence="")]
    make_store(folder, *items, reject("d", "illegible"))
    made = {"method": "llm", "model": "small-7b", "prompt_hash": "0123456789abcdef", "licence": ""}
    write_texts(folder, "keywords", {"a0": "one, two", "b": "three"}, made)
    return Store(folder)


def test_records_by_source_licence_and_citation(mixed):
    found = manifest(mixed)
    assert [(o["source"], o["licence"], o["records"]) for o in found["provenance"]] == [
        ("A", "CC BY 4.0", 3), ("B", "CC BY-NC-SA 4.0", 1), ("user", "", 1),
    ]  # fmt: skip
    assert (found["records"], found["rejected"], found["hash"]) == (5, 1, mixed.hash)
    assert found["fingerprint"] == mixed.info["job"]["fingerprint"]
    assert found["settings"]["shard_rows"] == 50
    assert found["program"].startswith("prismat ")


def test_the_strictest_terms_are_named(mixed):
    found = manifest(mixed)
    assert found["terms"]["non_commercial"] == {"records": 1, "texts": []}
    assert found["terms"]["not_stated"] == {"records": 1, "texts": ["keywords"]}
    assert found["terms"]["no_derivatives"] == {"records": 0, "texts": []}
    assert found["notice"] == (
        "1 of 5 records for non-commercial use; 1 of 5 records to be shared under the same terms; "
        "1 of 5 records and added texts (keywords) without a stated licence."
    )


def test_lines_for_people(mixed):
    lines = manifest_lines(manifest(mixed))
    assert lines[0].strip() == "3  A: CC BY 4.0; cite A (2020)"
    assert "user: no licence stated" in lines[2]
    assert "texts 'keywords' made by llm, small-7b, prompt 0123456789ab: no licence stated" in lines[3]
    assert lines[-1].startswith("Terms: 1 of 5 records for non-commercial use")


def test_free_data_need_no_warning(tmp_path):
    found = manifest(make_store(tmp_path / "free", material("a", texts={"title": "T"}, licence="CC0")))
    assert found["notice"].startswith("No licence is non-commercial, share-alike or unstated")
