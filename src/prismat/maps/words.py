"""The words of titles, counted per cluster: one-word and two-word terms that tell of a material."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from prismat.modalities.keywords import keywords

_PHRASES = 40
_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*){2,}")
# True of many papers on crystals and of no material; beside the words that keywords leave out anyway.
_PAPERS = """
phase phases transition transitions compound compounds member members series solid solution solutions bond
bonds bonding distance distances atom atoms ion ions cation cations anion anions order ordering disorder
ordered disordered distribution coordination polyhedra polyhedral polyhedron topology polymorph polymorphs
polytype polytypes temperature temperatures pressure pressures stability evolution conditions range room
equation equations state thermal expansion compressibility compression elasticity high-temperature
low-temperature rich bearing containing end-member end occurrence locality deposit mine italy russia usa
germany japan sweden greenland peninsula kola massif complex comparative species group supergroup variety
substitution content composition compositional isotropic refinements constraints mechanism properties charge
density electron hydrogen water hydrous anhydrous first second third natural synthetic dependence pair non
identification echange solide mountain mountains common coefficient coefficients arrangement acid ordre
tunnel basic inorganic variete formel redefinition tetrahedra tetrahedral octahedral western eastern join
correlation room-temperature quantitative square growth planar sugli konstitution high high-pressure
bivalent closure alkali tetravalent trivalent divalent environment network framework chain layer layered
modulated superstructure twin twinning pseudosymmetry nomenclature redefined rare new-mineral
cell-parameters dehydration anionen ternary binary quaternary metal metals california quebec canada nevada
arizona region tibet luobusha baker damit isomorphen vergleich basse cage northern southern influence
substituted and terre inverse sali analyse anal orthovanadate krystallstruktur ural urals chile peru bolivia
switzerland norway namibia australia kamchatka vesuvius
"""


@cache
def _silent() -> frozenset[str]:
    return frozenset(_PAPERS.split())


@cache
def terms(title: str) -> tuple[str, ...]:
    """The distinct terms of one title: words, and pairs of neighbouring words of one phrase.

    Plurals are brought to the singular; names of methods and of conditions are left out.
    """
    found: dict[str, None] = {}
    for phrase in keywords(title, _PHRASES):
        words = [singular(w) for w in phrase.split()]
        for i, word in enumerate(words):
            if _tells(word):
                found.setdefault(word)
            if i and _tells(word) and _tells(words[i - 1]):
                found.setdefault(f"{words[i - 1]} {word}")
    return tuple(found)


def singular(word: str) -> str:
    """An English plural without its ending; formulas and other words as they are."""
    if not word.islower() or len(word) < 5 or word.endswith(("ss", "us", "is", "as", "os")):
        return word
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


def _tells(word: str) -> bool:
    if len(word) <= 2 or word in _silent() or f"{word}s" in _silent():
        return False
    # A name in lower case, or a whole formula: Ba2 and H4)2 are pieces of one.
    return word.islower() or _FORMULA.fullmatch(word) is not None


def counts_by_cluster(titles: Sequence[str], labels: Iterable[int], clusters: int) -> list[Counter[str]]:
    """In how many distinct titles of each cluster a term stands.

    A paper with many crystals has one title, which is counted once in each cluster, so that no long study
    names a cluster alone.
    """
    distinct: list[set[str]] = [set() for _ in range(clusters)]
    for title, label in zip(titles, labels, strict=True):
        distinct[label].add(title)
    return [Counter(term for title in sorted(group) for term in terms(title)) for group in distinct]
