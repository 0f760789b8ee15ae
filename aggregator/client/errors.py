"""How a command for people can end, with its exit code."""

from typing import Final

OK: Final = 0


class ClientError(Exception):
    """A command has no answer; the text says what to look at."""

    code = 1


class Refused(ClientError):
    """The service does not know it, or does not show it to this identity."""


class Misused(ClientError):
    """A flag, a variable, a file of the client, or what is asked for is wrong."""

    code = 2


class Unreachable(ClientError):
    """The service cannot be reached, or has no answer now."""

    code = 3
