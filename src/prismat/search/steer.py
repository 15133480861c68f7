"""Where a search is pushed to or away from: words to avoid, records to resemble, records not to resemble."""

from dataclasses import dataclass

from prismat.errors import BadInputError

MAX_TERMS = 16
MAX_TERM = 200
MAX_EXAMPLES = 100
MAX_ID = 500
STEERS = ("not_text", "like", "unlike")
"""Parts of a query that steer it; the first and the last count against a record."""


def check_words(text: str, field: str, most: int, what: str = "the text") -> None:
    """Refuses text that is blank, longer than ``most`` characters or not Unicode.

    Raises:
        BadInputError: it is any of these.
    """
    if not 0 < len(text.strip()) <= most:
        raise BadInputError(
            f"{what} has {len(text.strip())} characters", field=field, remedy=f"Give 1 to {most} characters."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"{what} is not Unicode", field=field, remedy="Write it in UTF-8.") from error


@dataclass(frozen=True)
class Steer:
    """Parts of a query that push its results.

    Attributes:
        not_text: words that results should not mean; 16 terms of 200 characters each at most.
        like: ids of records of the index that results should resemble; 100 at most.
        unlike: ids of records that they should not resemble; 100 at most.

    Raises:
        BadInputError: too many or empty entries, or an id that is in both lists.
    """

    not_text: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        limits = {"not_text": (MAX_TERMS, MAX_TERM), "like": (MAX_EXAMPLES, MAX_ID)}
        limits["unlike"] = limits["like"]
        for name, (most, longest) in limits.items():
            values = getattr(self, name)
            if len(values) > most:
                raise BadInputError(
                    f"{len(values)} entries", field=f"steer {name}", remedy=f"Give at most {most}."
                )
            for value in values:
                check_words(value, f"steer {name}", longest, "an entry")
        if both := sorted(set(self.like) & set(self.unlike)):
            raise BadInputError(
                f"{both[0]!r} is both wanted and not wanted", field="steer", remedy="Take it out of one list."
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """Which of them are given."""
        return tuple(name for name in STEERS if getattr(self, name))

    @property
    def examples(self) -> tuple[str, ...]:
        """Ids of ``like`` and ``unlike``, each once."""
        return tuple(dict.fromkeys((*self.like, *self.unlike)))

    def to_dict(self) -> dict[str, list[str]]:
        """Plain JSON values."""
        return {name: list(getattr(self, name)) for name in STEERS}

    @classmethod
    def from_dict(cls, payload: object) -> "Steer":
        """The inverse of ``to_dict``; keys left out are empty.

        Raises:
            BadInputError: an unknown key, or what is not a list of strings.
        """
        if not isinstance(payload, dict) or not set(payload) <= set(STEERS):
            raise BadInputError(
                "not an object of lists", field="steer", remedy=f"Give any of {', '.join(STEERS)}."
            )
        for name, value in payload.items():
            if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                raise BadInputError(
                    "not a list of strings", field=f"steer {name}", remedy='Write ["perovskite"].'
                )
        return cls(**{str(name): tuple(value) for name, value in payload.items()})
