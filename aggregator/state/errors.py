"""The state's one exception, and how the errors of three databases become one line for the administrator."""

from sqlalchemy.exc import SQLAlchemyError, StatementError

_HINTS = {
    "unable to open database file": "check that the file is there, and that this user may write to it and its folder",
    "readonly database": "let this user write to the file, to those beside it (-wal, -shm), and to its folder",
    "database is locked": "another process keeps it locked",
    "not a database": "move the file away, or name another one",
    "database disk image is malformed": "restore the file from a backup",
    "no such table": "the file was replaced; its tables are made again at the next use",
    "Access denied": "check the user, its GRANT and state.password_file",
    "Unknown database": "create the database",
    "authentication failed": "check the user and state.password_file",
    "permission denied for": "grant this user CREATE on the schema",
}


class StateError(Exception):
    """The state could not be read or written; the text begins with the key to fix and holds no password."""


def state_error(error: Exception, place: str) -> StateError:
    """Describe what went wrong at `place`, and what to do where that is known."""
    reason = _reason(error)
    hint = next((f": {hint}" for fragment, hint in _HINTS.items() if fragment in reason), "")
    return StateError(f"state.url: {place}: {reason}{hint}")


def _reason(error: BaseException) -> str:
    if isinstance(error, StatementError) and error.orig is not None:
        return _reason(error.orig)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or repr(error)
    # The text of SQLAlchemy's own errors ends in a link to its manual, their argument does not.
    if isinstance(error, SQLAlchemyError):
        return str(error.args[0])
    return str(error.args[-1]) if error.args else repr(error)
