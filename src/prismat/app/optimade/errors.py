"""What the OPTIMADE endpoint refuses, with the status the standard asks for."""

TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    501: "Not Implemented",
    553: "Version Not Supported",
}


class OptimadeError(Exception):
    """A request that cannot be answered.

    Args:
        status: of the HTTP answer, one of ``TITLES``.
        detail: what is wrong, with the way out.
        parameter: query parameter at fault.
    """

    def __init__(self, status: int, detail: str, parameter: str = "") -> None:
        self.status, self.detail, self.parameter = status, detail, parameter
        super().__init__(detail)

    @property
    def title(self) -> str:
        """Words of the status."""
        return TITLES[self.status]


def refused(detail: str, parameter: str = "filter") -> OptimadeError:
    """The error of a request that is wrong."""
    return OptimadeError(400, detail, parameter)


def unsupported(detail: str, parameter: str = "filter") -> OptimadeError:
    """The error of an optional feature of the standard that is not offered here."""
    return OptimadeError(501, detail, parameter)
