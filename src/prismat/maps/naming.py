"""Names of clusters by a language model behind any OpenAI-compatible endpoint, as CLaSP's map has them.

Suzuki et al. (2024), section 7.5, have a model sum up the paper titles of each cluster. Here it is given the
telling words as well; what it cannot name keeps the name its words give.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prismat.maps.names import Name
from prismat.packaged import cache_dir
from prismat.texts.asking import ask_all
from prismat.texts.cache import TextCache
from prismat.texts.language_model import Endpoint
from prismat.texts.prompts import MalformedAnswerError, Prompt

LONGEST = 48
"""Characters of a name at most."""

_SYSTEM = f"""\
You read the titles of papers about crystal structures that belong together, and words that tell them from
others.
Answer with the name of what these materials have in common: one to three noun phrases, the broadest first,
joined by " · ", of {LONGEST} characters at most, in lower case but for names and formulas.
Name materials, not methods, places or journals. Answer with the name and nothing else."""


def check_name(answer: str, given: str = "") -> str:  # noqa: ARG001 - the form of all checks
    """A name of one line.

    Raises:
        MalformedAnswerError: empty, of several lines, or too long.
    """
    name = answer.strip().strip("\"'`.").strip()
    if not name or "\n" in name:
        raise MalformedAnswerError("It is not one line.")
    if len(name) > LONGEST:
        raise MalformedAnswerError(f"It has {len(name)} characters, of {LONGEST} at most.")
    return name


CLUSTER_NAME = Prompt("cluster name", _SYSTEM, check_name, typical_tokens=12)
"""The prompt for a name."""


def names_by_model(
    endpoint: Endpoint,
    names: Sequence[Name],
    titles: Sequence[Sequence[str]],
    cache: Path | None = None,
) -> list[Name]:
    """Names by a language model; its words are taken as text and nothing else.

    Args:
        endpoint: which model, where and how.
        names: of the clusters by their words.
        titles: some of each cluster.
        cache: a file of answers from before; the user's cache where None.

    Raises:
        BadInputError: the endpoint is not usable as given.
        FetchError: refused, or still failing after all attempts.
    """
    given = {str(i): _input(name, some) for i, (name, some) in enumerate(zip(names, titles, strict=True))}
    with TextCache(cache or cache_dir() / "texts" / "language_model.sqlite") as answers:
        asked = ask_all(given, CLUSTER_NAME, endpoint, answers)
    return [replace(n, text=asked.texts.get(str(i), n.text)) for i, n in enumerate(names)]


def _input(name: Name, titles: Sequence[str]) -> str:
    lines = "\n".join(f"- {title[:300]}" for title in titles)
    return f"Telling words: {', '.join(name.words)}\nTitles:\n{lines}"
