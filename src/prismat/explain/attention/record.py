"""A record of a store: its words, and its crystal's vector."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from prismat.api import Prismat
from prismat.errors import BadInputError
from prismat.store import Store
from prismat.training.store_checks import check_store


@dataclass(frozen=True, eq=False)
class Record:
    """A record.

    Attributes:
        id: its own.
        texts: by kind.
        store: where it is.
        row: which one it is there.
    """

    id: str
    texts: dict[str, str]
    store: Store
    row: int

    def text(self, kind: str = "") -> str:
        """A text of the record; its title, or the only one, where no kind is given.

        Raises:
            BadInputError: there is no such text.
        """
        kinds = [kind] if kind else ["title", *self.texts]
        found = next((self.texts[one] for one in kinds if self.texts.get(one)), "")
        if not found:
            raise BadInputError(
                f"the record has no {kind or 'text'}",
                record=self.id,
                field="view",
                remedy=f"It has {', '.join(self.texts) or 'none'}.",
            )
        return found

    def crystal_vector(self, prismat: Prismat) -> Float[torch.Tensor, " dim"] | None:
        """The crystal's unit vector that texts are compared with; None without a crystal or its window.

        Raises:
            MismatchError: the store was prepared with other settings than the model reads.
        """
        modality = prismat.modalities.get("structure")
        if modality is None or "text" not in prismat.recipe.windows:
            return None
        check_store(self.store, prismat.recipe)
        batch = modality.collate(self.store.take(np.array([self.row]), list(modality.columns)))
        if not bool(batch.present[0]):
            return None
        found = prismat.embed_batch("structure", batch)
        return torch.from_numpy(found[prismat.key("structure", "text")][0])


def record_of(store: Store, id: str) -> Record:
    """A record by its id.

    Raises:
        BadInputError: no such record.
    """
    if id not in store.ids:
        raise BadInputError("no such record", record=id, field="id", remedy="Take one from a search.")
    row = store.ids.index(id)
    told = store.table.slice(row, 1).to_pylist()[0]
    return Record(id, {kind: text for kind, text in dict(told["texts"]).items() if text}, store, row)
