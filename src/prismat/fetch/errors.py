"""What can go wrong between this machine and a server."""

from prismat.errors import PrismatError


class FetchError(PrismatError):
    """A server did not give what was asked for.

    Args:
        problem: what happened, as a sentence without a full stop.
        url: what was asked for, without secrets.
        status: HTTP status, 0 where there was no answer.
        temporary: whether asking again later may help.
        remedy: what the user can do.
        body: beginning of what the server answered.
    """

    def __init__(
        self,
        problem: str,
        url: str,
        status: int = 0,
        temporary: bool = False,
        remedy: str = "",
        body: bytes = b"",
    ) -> None:
        self.problem, self.url, self.status, self.temporary = problem, url, status, temporary
        self.body = body
        self.remedy = remedy or ("Run the same command again later: what came is kept." if temporary else "")
        super().__init__(f"{url}: {problem}. {self.remedy}".strip())

    def __reduce__(self) -> tuple:
        """Crosses process borders with its parts."""
        return (type(self), (self.problem, self.url, self.status, self.temporary, self.remedy, self.body))


class PassingError(Exception):
    """A failure that may be gone at the next attempt."""

    def __init__(self, problem: str, status: int = 0, wait: float = 0.0) -> None:
        self.problem, self.status, self.wait = problem, status, wait
        super().__init__(problem)
