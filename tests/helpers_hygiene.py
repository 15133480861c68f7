"""Stores made of a few materials, and crystals that are close to one another without being the same."""

from dataclasses import dataclass

import helpers_crystals as real
from prismat.material import Material, Provenance, Reject
from prismat.modalities.rendering import ProfileSettings
from prismat.prepare import PrepareSettings, prepare

CUBIC, HEXAGONAL = (90, 90, 90), (90, 90, 120)
POLYMORPHS = {
    "graphite": (
        "P 63/m m c",
        (2.461, 2.461, 6.708, *HEXAGONAL),
        [("C", 0, 0, 0.25), ("C", 1 / 3, 2 / 3, 0.25)],
    ),
    "lonsdaleite": ("P 63/m m c", (2.52, 2.52, 4.12, *HEXAGONAL), [("C", 1 / 3, 2 / 3, 0.0625)]),
    "cristobalite": (
        "P 41 21 2",
        (4.9717, 4.9717, 6.9223, *CUBIC),
        [("Si", 0.3003, 0.3003, 0), ("O", 0.2392, 0.1044, 0.1787)],
    ),
    "coesite-like stishovite": (
        "P 42/m n m",
        (4.1773, 4.1773, 2.6655, *CUBIC),
        [("Si", 0, 0, 0), ("O", 0.3061, 0.3061, 0)],
    ),
    "anatase": ("I 41/a m d:1", (3.785, 3.785, 9.514, *CUBIC), [("Ti", 0, 0, 0), ("O", 0, 0, 0.208)]),
    "zincblende ZnS": ("F -4 3 m", (5.409,) * 3 + CUBIC, [("Zn", 0, 0, 0), ("S", 0.25, 0.25, 0.25)]),
    "wurtzite ZnS": (
        "P 63 m c",
        (3.822, 3.822, 6.26, *HEXAGONAL),
        [("Zn", 1 / 3, 2 / 3, 0), ("S", 1 / 3, 2 / 3, 0.3748)],
    ),
    "4H ZnS": (
        "P 63 m c",
        (3.82, 3.82, 12.52, *HEXAGONAL),
        [("Zn", 0, 0, 0), ("Zn", 1 / 3, 2 / 3, 0.25), ("S", 0, 0, 0.1875), ("S", 1 / 3, 2 / 3, 0.4375)],
    ),
    "2H MoS2": (
        "P 63/m m c",
        (3.1604, 3.1604, 12.295, *HEXAGONAL),
        [("Mo", 1 / 3, 2 / 3, 0.25), ("S", 1 / 3, 2 / 3, 0.621)],
    ),
    "3R MoS2": (
        "R 3 m:H",
        (3.163, 3.163, 18.37, *HEXAGONAL),
        [("Mo", 0, 0, 0), ("S", 0, 0, 0.2477), ("S", 0, 0, 0.4190)],
    ),
}


def polymorph(name):
    """A crystal of the list, or of those published."""
    return real.build(*POLYMORPHS[name]) if name in POLYMORPHS else real.crystals()[name]


@dataclass(frozen=True)
class Given:
    """Materials as a source."""

    items: tuple
    name: str = "given"
    licence: str = "CC0"
    citation: str = "Nobody (2026)"

    def fingerprint(self):
        return "-".join(item.id for item in self.items)

    def __len__(self):
        return len(self.items)

    def read(self, start, stop):
        yield from self.items[start:stop]


def material(id, crystal=None, source="given", source_id="", licence="CC0", citation="", **others):
    """A material with its provenance."""
    return Material(id, crystal, provenance=Provenance(source, source_id, licence, citation), **others)


def make_store(folder, *items):
    """A store of materials and rejects."""
    settings = PrepareSettings(profile=ProfileSettings(points=256), shard_rows=50, workers=1)
    return prepare(Given(tuple(items)), folder, settings)


def reject(id, reason):
    return Reject(id, reason)
