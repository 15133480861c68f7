"""Keywords of a record's texts, found without a model: RAKE over what titles and notes say of the material.

CLaSP (Suzuki et al., 2024) has a large language model write keywords for its second stage; this is the local,
deterministic stand-in. Phrases are scored as in Rose et al., "Automatic keyword extraction from individual
documents" (Text Mining, Wiley 2010): a word by its degree over its frequency, a phrase by the sum over words.
"""

import re
from collections import Counter
from functools import cache

from prismat.modalities.formula_spans import formula_spans

LIMIT = 10
"""Keywords of one record at most."""
_LONGEST = 3
"""Words of one keyword at most."""

# What joins words in English, German, French and Italian.
_JOINING = """
a about above after all also although among an and any are as at be because been before being below between
both but by can could did do does due during each either et etc few for from further given has have having
he her here his how however if in into is it its itself just may might more most much no nor not now of off
on once one only onto or other our out over own per same several she should since so some such than that the
their them then there these they this those though three through to together too toward towards two twelve
under until up upon very via was we were what when where whether which while who whose why will with within
without would four five six seven eight nine ten first second third der die das des dem den ein eine einer
eines einem einen einige einiger und oder von vom zu zum zur im ist sind mit auf aus bei bis durch fuer für
gegen nach ohne ueber über um unter vor zwischen als auch sowie deren dessen hoher bereich le la les un une
du au aux ou de d l en dans par pour sur avec sans entre est sont ce ces cette son sa ses leur leurs
quelques nouveaux nouvelle nouvelles il lo gli uno della delle dello degli dei del nel nella con tra fra
alcuni alcune sulla sulle sul sui uber
"""
# What was measured, calculated or published, and how: true of every record, and of no material.
_METHODS = """
ab ab-initio abstract account accurate affinement analyses analysis analytical anomalous appendix
application applications approach article atomic average based behavior behaviour beitrag bestimmung
calculated calculation calculations called camera caracterisation case cell change changes characterisation
characterization characterized chemical chemically chemistry chimie chimique chosen classification collected
comment communication comparative comparison comparisons composti computed constant constants contribution
coordinate coordinates corrected correction correlated corresponding cristal cristallina cristalline
cristallines cristallographique cristallographiques cristaux crystal crystalline crystallographic
crystallography crystals data database description detail detailed details determination determinations
determinazione determine determined determining dft diamond-anvil diffraction diffractometer diffractometry
discovery discussion donnees données détermination effect effects electron-density electron-diffraction emp
erratum espece estimate etude etudes evidence exafs examination example experiment experimental experiments
factor factors family fitting form forms formula found fourier function general gitter gitterkonstanten
gitterparameter gitterstruktur group hrtem hypothetical icsd implication implications infrared initio
insight insights interpretation investigate investigated investigation investigations journal kenntnis known
kristallographische kristallstruktur kristallstrukturen kx laboratory lattice laue least-squares letter
literature locality magnet match means measured measurement measurements measuring method methods mineral
minerale minerals minéral model modeling modelling models moessbauer monte-carlo mossbauer mössbauer name
named natural nature neutron neutronique neutrons new nmr note notes nouvel novel number observation
observations observed obtained occupancy occurrence origin paper parameter parameters part pattern patterns
position positions powder precession precise precision preliminary preparation prepared presence present
problem procedure profile properties property propriete proprietes propriétés préparation publication
published radiation raman random ray rays re-determination re-examination re-investigation recent
redetermination redetermined reexamination refine refined refinement refinements refining reflection
reflections reinterpretation reinvestigation related relation relations relationship relationships report
reported reproduced research result results review revised revision ricerche rietveld roentgenographische
roentgenuntersuchung role run sample samples scattering sem sims simulation simulations single
single-crystal site sites situ some space spectra spectroscopic spectroscopy spectrum sref stoffen
structural structurale structurales structurally structuraux structure structures struktur
strukturbestimmung strukturen strukturverfeinerung struttura strutturale strutture studied studies studio
study studying sulla survey symmetry synchrotron synthese synthesis synthesized synthetic system systematic
systems table technique techniques tem term terms theoretical theory time-of-flight tof type types unit
unknown untersuchung untersuchungen use used using value values variation variations various verbindungen
verfeinerung verwandten volume weight work x-ray xafs xanes xray xrd étude études
"""
# Units stand behind numbers, which are no keywords either.
_UNITS = """
a å angstrom angstroms at% atm bar bars c cm cm3 day days deg degree degrees ev f g gpa hour hours hpa hr
hrs j k kbar kbars kelvin kg kpa kv m mbar mev mg min mins minute minutes ml mm mol mpa ms nm ns pa pct
percent ppm s sec seconds ton tons torr v vol volt volts w week weeks wt wt% µm μm
"""
# Words that say something of another one only.
_WEAK = frozenset(
    ("alpha", "beta", "delta", "double", "gamma", "high", "ideal", "low", "mean", "mixed", "pure")
)
_CONDITION = re.compile(
    r"\b(?:sample|specimen|crystal)\s*(?:no\.?|number|#|:)\s*[^,;.\s]+"
    r"|\b[A-Za-z]{1,3}\s*[=<>~≈≤≥]+\s*[-+]?[\d.,()]+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*|[^\s\w]|\w+(?:[-.]\w+)*")
_GAP = re.compile(r"[-‐–/]")
_ELISION = re.compile(r"(?:d|l|qu|dell|nell|sull)['’](?=[^\W\d_]{2})")
_BRACKETED = re.compile(r"\A\((\w+)\)\Z")
_ROMAN = re.compile(r"[ivxlc]+\Z")


@cache
def _silent() -> frozenset[str]:
    """Words that no keyword holds."""
    return frozenset(f"{_JOINING} {_METHODS} {_UNITS}".split())


def keywords(text: str, limit: int = LIMIT) -> list[str]:
    """Phrases of one to three words that tell of the material, the best first.

    Words are in lower case, formulas and element symbols as written. Words of measurement and method (crystal
    structure, powder diffraction, Rietveld refinement, …), numbers, units and sample codes are left out.

    Args:
        text: any; one without such a phrase gives none.
        limit: keywords at most.
    """
    phrases = _phrases(text)
    frequency, degree = Counter[str](), Counter[str]()
    for phrase in phrases:
        for word in phrase:
            frequency[word] += 1
            degree[word] += len(phrase)
    counted = Counter(phrases)
    score = {p: sum(degree[w] / frequency[w] for w in p) for p in counted}
    # Longer phrases score higher; of equals the rarer one says more, then the one that comes first.
    best = sorted(counted, key=lambda p: (-score[p], counted[p]))
    return [" ".join(phrase) for phrase in best[:limit]]


def keyword_view(row: dict) -> str:
    """Keywords that came with the record, else those of its title, mineral and notes, joined by commas.

    Args:
        row: a row of the store's table, see ``text_views``.
    """
    # Imported here, for text_views lists this view among its own.
    from prismat.modalities.text_views import context_view

    given = dict(row["texts"]).get("keywords", "")
    if given.strip():
        return given
    # A place tells where a mineral was found, not what it is.
    tags = {name: value for name, value in dict(row["tags"]).items() if name != "locality"}
    return ", ".join(keywords(context_view({**row, "tags": tags})))


def _phrases(text: str) -> list[tuple[str, ...]]:
    """Runs of words between silent words and punctuation, in order, cut to the longest length from behind."""
    found: list[tuple[str, ...]] = []
    run: list[str] = []
    for word in [*_words(_CONDITION.sub(" ; ", text)), ""]:
        if word:
            run.append(word)
            continue
        ends = [*range(len(run), 0, -_LONGEST)][::-1]
        found += [tuple(run[max(0, end - _LONGEST) : end]) for end in ends]
        run = []
    return [phrase for phrase in found if not _WEAK.issuperset(phrase)]


def _words(text: str) -> list[str]:
    """Formulas as written and words in lower case; an empty string for all that divides phrases."""
    words, position = [], 0
    for span in [*formula_spans(text), None]:
        stop = span.start if span else len(text)
        words += [_plain(match.group()) for match in _WORD.finditer(text, position, stop)]
        if span is not None:
            words.append(_BRACKETED.sub(r"\1", " ".join(text[span.start : span.end].split())))
            position = span.end
    return words


def _plain(word: str) -> str:
    """The word in lower case, or nothing where it is silent, too short, or not made of letters alone."""
    word = _ELISION.sub("", word.lower())
    parts = [part for part in _GAP.split(word) if part]
    is_silent = all(part in _silent() or len(part) < 2 for part in parts)
    is_code = any(c.isdigit() for c in word) or not word[0].isalpha() or _ROMAN.match(word)
    return "" if word in _silent() or is_silent or is_code else word
