"""The errors Prismat raises: each names the record, the field and the remedy."""


class PrismatError(Exception):
    """Base of every error that Prismat raises on purpose."""


class BadInputError(PrismatError):
    """Input that cannot be used, said in one sentence with the way out.

    Args:
        problem: what is wrong, as a sentence without a full stop.
        record: id, file or row of the offending record.
        field: the field of the record that is wrong.
        remedy: what the user can do about it.
    """

    def __init__(self, problem: str, *, record: str = "", field: str = "", remedy: str = "") -> None:
        self.problem, self.record, self.field, self.remedy = problem, record, field, remedy
        where = ", ".join(p for p in (f"record {record!r}" if record else "", field) if p)
        text = f"{where}: {problem}." if where else f"{problem[:1].upper()}{problem[1:]}."
        super().__init__(f"{text} {remedy}".strip())

    def at(self, record: str) -> "BadInputError":
        """The same error with the record's name filled in."""
        return BadInputError(self.problem, record=self.record or record, field=self.field, remedy=self.remedy)

    def __reduce__(self) -> tuple:
        """Crosses process borders with its parts, which ``Exception`` alone would lose."""
        return (_rebuild, (type(self), self.problem, self.record, self.field, self.remedy))


def _rebuild(kind: type, problem: str, record: str, field: str, remedy: str) -> BadInputError:
    return kind(problem, record=record, field=field, remedy=remedy)


class MissingExtraError(PrismatError):
    """An optional dependency is not installed; names the extra that brings it."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed. Run: pip install 'prismat[{extra}]'")


class VersionError(PrismatError):
    """A file written by another format version than this program reads."""


class MismatchError(PrismatError):
    """Two artefacts that do not belong together, such as an index and another model."""
