"""Features of every text of a store, computed once before training."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from prismat.modalities.chemistry_text import FLAGS, LEXICON, chemistry_channels, parse_chemistry
from prismat.modalities.lexicon import Lexicon, key_word
from prismat.modalities.text import TokenBatch
from prismat.modalities.text_views import VIEWS, as_rows, text_view
from prismat.text_reader import EncoderReader, FrozenReader, TextReader, TokenReader
from prismat.training.records import Records
from prismat.training.windows import TextBank, TokenBank

_FLAG = FLAGS.start
LEXICON_COLUMNS = np.array([*range(LEXICON.start, LEXICON.stop), _FLAG + 2, _FLAG + 5])
"""What of the element channel comes from the mineral lexicon: its fractions and its two flags."""


def view_texts(records: Records, chances: Mapping[str, float], first: str = "title") -> dict[str, list[str]]:
    """The text views in use of every record; empty where a record has none.

    Args:
        records: of a store.
        chances: by view; those above zero are used.
        first: the view that is evaluated, always used.

    Raises:
        BadInputError: a view that does not exist.
    """
    rows = as_rows(records.table)
    kinds = {kind for row in rows for kind in dict(row["texts"])}
    order = [*VIEWS, *sorted({first, *chances} - set(VIEWS))]
    views = {name: text_view(name, kinds) for name in order if name == first or name in chances}
    used = [first, *(name for name in views if name != first and chances[name] > 0)]
    return {name: [views[name](row) for row in rows] for name in used}


def evaluated_view(records: Records, chances: Mapping[str, float]) -> str:
    """The view that retrieval is judged on: titles where there are any, else the likeliest of a training."""
    if any(records.titles) or not chances:
        return "title"
    return max(chances, key=lambda name: chances[name])


def training_lexicon(records: Records, rows: Int[np.ndarray, " train"]) -> Lexicon:
    """Minerals of the training rows."""
    return Lexicon.from_rows([records.minerals[i] for i in rows], records.fractions[rows])


def build_text_bank(
    records: Records,
    reader: FrozenReader,
    train: Int[np.ndarray, " train"],
    chances: Mapping[str, float],
    progress: Callable[[int, int], None] | None = None,
    first: str = "title",
) -> TextBank:
    """Embeds the distinct texts of all views and parses their chemistry.

    A training record's own mineral is hidden from its lexicon: held-out minerals are not in it either, and a
    model that always finds the answer there would learn to look nowhere else.
    """
    views = view_texts(records, chances, first)
    embedding, index = embed_distinct(list(views.values()), reader, progress)
    own = np.zeros(len(records), dtype=bool)
    own[train] = True
    chemistry = [_channels(texts, records, own, reader.lexicon) for texts in views.values()]
    return TextBank(tuple(views), embedding, np.stack(chemistry), index, LEXICON_COLUMNS)


def embed_distinct(
    views: Sequence[Sequence[str]],
    reader: FrozenReader,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float[np.ndarray, "rows width"], Int[np.ndarray, "views records"]]:
    """Embeddings of the distinct texts, and the row of every view's texts.

    The last row is zeros, which is what −1, the index of no text, finds: also where there is no text at all.
    """
    distinct = sorted({t for texts in views for t in texts if t})
    position = {t: i for i, t in enumerate(distinct)}
    embedding = np.pad(reader.embed(distinct, progress).astype(np.float32), ((0, 1), (0, 0)))
    return embedding, np.array([[position.get(t, -1) for t in texts] for texts in views])


def _channels(texts: list[str], records: Records, is_train: np.ndarray, lexicon: Lexicon) -> np.ndarray:
    channels = chemistry_channels([t or None for t in texts], lexicon).astype(np.float32)
    for row in np.flatnonzero(is_train):
        key = key_word(records.minerals[row]) if records.minerals[row] and texts[row] else ""
        if key in lexicon.fractions and channels[row, _FLAG + 2]:
            others = {name: v for name, v in lexicon.fractions.items() if name != key}
            channels[row] = parse_chemistry(texts[row], Lexicon(others))
    return channels


def build_token_bank(
    records: Records, reader: TextReader, chances: Mapping[str, float], first: str = "title"
) -> TokenBank:
    """Token ids of all views of all records."""
    views = view_texts(records, chances, first)
    batches = [reader.read([t or None for t in texts]) for texts in views.values()]
    tokens = tuple(batch for batch in batches if isinstance(batch, TokenBatch))
    again = reader if isinstance(reader, (TokenReader, EncoderReader)) else None
    return TokenBank(tuple(views), tokens, tuple(views.values()), again)
