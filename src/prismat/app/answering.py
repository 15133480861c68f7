"""Queries of requests, and their answers."""

from typing import Any

from prismat.app.problems import Problem
from prismat.app.state import Served
from prismat.search.language import Words
from prismat.search.query import Query


def checked(query: Query, most: int) -> Query:
    """The query, unless it asks for too many results.

    Raises:
        Problem: status 422.
    """
    if query.k > most:
        raise Problem(
            422,
            f"k is {query.k:,}, and this request gives at most {most:,} results.",
            "bad-input",
            field="k",
            remedy="Ask for fewer, or use POST /v1/search/stream.",
        )
    return query


def respond(served: Served, query: Query) -> dict[str, Any]:
    """The answer to a query in JSON types."""
    return served.engine.respond(query, served.confidence).to_dict()


def parts_of_words(words: Words) -> dict[str, Any]:
    """The fields of a query's JSON that words give; they need not make a whole query."""
    found: dict[str, Any] = {} if words.text is None else {"text": words.text}
    found |= {
        "steer": words.steer.to_dict(),
        "filter": words.filter.to_dict(),
        "weights": dict(words.weights),
    }
    return found if words.k is None else found | {"k": words.k}


def respond_to(served: Served, body: bytes, most: int) -> dict[str, Any]:
    """The answer to the JSON of a query."""
    return respond(served, checked(read_query(body), most))


def read_query(body: bytes) -> Query:
    """A query from the bytes of its JSON.

    Raises:
        BadInputError: not UTF-8, or no query.
    """
    return Query.from_json(body.decode("utf-8", errors="replace"))
