import shutil

import pytest

from prismat.errors import BadInputError
from prismat.store import Store
from prismat.store_texts import write_texts


@pytest.fixture
def store(small_store, tmp_path):
    shutil.copytree(small_store.folder, tmp_path / "store")
    return Store(tmp_path / "store")


def test_added_texts_stand_beside_the_others_and_change_the_hash(store):
    first = store.ids[0]
    write_texts(store.folder, "keywords", {first: "garnet, high pressure"}, {"method": "by hand"})
    again = Store(store.folder)
    assert dict(again.column("texts")[0]) == dict(store.column("texts")[0]) | {
        "keywords": "garnet, high pressure"
    }
    assert again.column("texts")[1] == store.column("texts")[1]
    assert again.added_texts["keywords"]["method"] == "by hand"
    assert again.hash != store.hash
    assert again.table.schema == store.table.schema


def test_texts_of_one_kind_are_replaced(store):
    for text in ("one", "two"):
        write_texts(store.folder, "keywords", {store.ids[0]: text}, {})
    assert dict(Store(store.folder).column("texts")[0])["keywords"] == "two"


def test_a_table_that_was_changed_is_refused(store):
    write_texts(store.folder, "keywords", {store.ids[0]: "one"}, {})
    (store.folder / "texts" / "keywords.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInputError, match="not the texts that were described beside it"):
        Store(store.folder).column("texts")


@pytest.mark.parametrize("kind", ["../up", "Key Words", "", "a" * 41])
def test_a_kind_is_a_plain_name(store, kind):
    with pytest.raises(BadInputError, match="is no name for texts"):
        write_texts(store.folder, kind, {}, {})
