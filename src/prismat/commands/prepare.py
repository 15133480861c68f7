"""The verb that makes a store: prepare."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from prismat.commands.sources import AnySource
from prismat.commands.talk import talking
from prismat.hygiene.data_card import write_data_card
from prismat.hygiene.manifest import manifest, manifest_lines
from prismat.prepare import PrepareSettings
from prismat.sources.attached import AttachedSource
from prismat.store import Store
from prismat.tasks import quickstart as flow


@dataclass(frozen=True)
class Prepare:
    """Read a source into a store: fetch, parse, standardise, build graphs, simulate patterns. Resumes.

    Attributes:
        source: where materials come from.
        out: the store's folder; ``stores/<source>`` where not given.
        attach: results of ``prismat compute``: their densities of states and charge densities are added.
        attach_only: leave out materials without such a result.
        settings: graphs, patterns, shards, processes.
    """

    source: Annotated[AnySource, tyro.conf.arg(name="")]
    out: Path | None = None
    attach: Path | None = None
    attach_only: bool = False
    settings: PrepareSettings = field(default_factory=PrepareSettings)

    def run(self) -> None:
        """Prepares and says what was written."""
        source = self.source.open()
        folder = self.out or Path("stores") / source.name
        with talking() as talk:
            if self.attach:
                # What is fetched belongs to the source within.
                flow.obtain(source, talk)
                source = AttachedSource(source, self.attach, self.attach_only)
            store, seconds = flow.prepare_source(source, folder, self.settings, talk)
        tell(store, seconds)


def tell(store: Store, seconds: float) -> None:
    """What came out, under which terms, and what to run next."""
    print(f"{len(store):,} records, {store.info['rejected']} rejected, {seconds:.0f} s → {store.folder}")
    if store.info["rejected"]:
        print(f"Rejects with reasons: {store.folder / 'rejects.jsonl'}")
    print("\n".join(manifest_lines(manifest(store))))
    write_data_card(store, store.folder)
    print(f"Data card: {store.folder / 'data_card.html'}")
    print(f"Next: prismat train --store {store.folder}")
