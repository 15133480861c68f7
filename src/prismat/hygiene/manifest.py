"""Licences and provenance of a store: what is in it, from where, and under which terms."""

import re
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from prismat.store import Store

TERMS: dict[str, re.Pattern[str]] = {
    "non_commercial": re.compile(r"\bnc\b|non[- ]?commercial", re.IGNORECASE),
    "research_only": re.compile(r"\b(academic|research|educational)\b.{0,20}\bonly\b", re.IGNORECASE),
    "no_derivatives": re.compile(r"\bnd\b|no[- ]?deriv", re.IGNORECASE),
    "share_alike": re.compile(r"\bsa\b|share[- ]?alike|\bodbl\b|\b[al]?gpl\b|\bgfdl\b", re.IGNORECASE),
}
"""How the words of a licence show its terms, the strictest first."""
_WORDS = {
    "non_commercial": "for non-commercial use",
    "research_only": "for research or teaching only",
    "no_derivatives": "not to be changed and passed on",
    "share_alike": "to be shared under the same terms",
    "not_stated": "without a stated licence",
}


def terms_of(licence: str) -> list[str]:
    """Restrictions that the words of a licence show; ``not_stated`` for no words.

    Only words are read: "CC BY-NC-SA 4.0" is non-commercial and share-alike. No restriction found does not
    prove that there is none.
    """
    if not licence.strip():
        return ["not_stated"]
    return [name for name, words in TERMS.items() if words.search(re.sub(r"[-_/]", " ", licence))]


def manifest(store: Store) -> dict[str, Any]:
    """What a store holds, from where and under which terms, as JSON.

    Args:
        store: a prepared store.

    Returns:
        ``hash`` of the content, ``schema_version``, ``records``, ``rejected``, ``source``, ``fingerprint`` of
        the input, ``settings`` of the preparation, ``provenance`` (records by source, licence and citation,
        most first), ``texts`` added later with what made them, ``terms`` (records and kinds of texts by
        restriction), the ``notice`` in words, and ``program`` that wrote the manifest.
    """
    counted = Counter(_origin(dict(entries)) for entries in store.column("provenance"))
    origins = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    provenance = [
        {"source": source, "licence": licence, "citation": citation, "records": records}
        for (source, licence, citation), records in origins
    ]
    texts = {kind: dict(info) for kind, info in sorted(store.added_texts.items())}
    terms = _terms(provenance, texts)
    return {
        "hash": store.hash,
        "schema_version": store.info["schema_version"],
        "records": len(store),
        "rejected": store.info["rejected"],
        "source": store.info["job"]["source"],
        "fingerprint": store.info["job"]["fingerprint"],
        "settings": store.info["job"]["settings"],
        "provenance": provenance,
        "texts": texts,
        "terms": terms,
        "notice": _notice(terms, len(store)),
        "program": f"prismat {version('prismat')}",
    }


def _origin(told: Mapping[str, str]) -> tuple[str, str, str]:
    return told.get("source") or "", told.get("licence") or "", told.get("citation") or ""


def _terms(
    provenance: list[dict[str, Any]], texts: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """For each restriction how many records, and which kinds of added texts, are under it."""
    terms: dict[str, dict[str, Any]] = {name: {"records": 0, "texts": []} for name in _WORDS}
    for origin in provenance:
        for name in terms_of(origin["licence"]):
            terms[name]["records"] += origin["records"]
    for kind, info in texts.items():
        for name in terms_of(str(info.get("licence") or "")):
            terms[name]["texts"].append(kind)
    return terms


def _notice(terms: Mapping[str, Mapping[str, Any]], total: int) -> str:
    """The strictest terms in words."""
    told = []
    for name, found in terms.items():
        if not (found["records"] or found["texts"]):
            continue
        what = f"{found['records']:,} of {total:,} records" if found["records"] else ""
        texts = f"added texts ({', '.join(found['texts'])})" if found["texts"] else ""
        told.append(f"{' and '.join(part for part in (what, texts) if part)} {_WORDS[name]}")
    if not told:
        return "No licence is non-commercial, share-alike or unstated; see each for what it asks."
    return f"{'; '.join(told)}."


def manifest_lines(found: Mapping[str, Any]) -> list[str]:
    """The manifest as lines for people.

    Args:
        found: what :func:`manifest` gave.
    """
    lines = []
    for origin in found["provenance"]:
        licence = origin["licence"] or "no licence stated"
        cite = f"; cite {origin['citation']}" if origin["citation"] else ""
        lines.append(f"{origin['records']:>9,}  {origin['source'] or 'unnamed source'}: {licence}{cite}")
    lines += [f"{info['records']:>9,}  {text_line(kind, info)}" for kind, info in found["texts"].items()]
    return [*lines, f"Terms: {found['notice']}"]


def text_line(kind: str, info: Mapping[str, Any]) -> str:
    """What made the added texts of one kind, in words."""
    made = [str(info[key]) for key in ("method", "model") if info.get(key)]
    prompt = next((str(info[key]) for key in ("prompt_hash", "prompt_sha256", "prompt") if info.get(key)), "")
    made += [f"prompt {prompt[:12]}"] if prompt else []
    licence = info.get("licence") or "no licence stated"
    return f"texts '{kind}' made by {', '.join(made) or 'an unnamed method'}: {licence}"
