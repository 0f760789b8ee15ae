"""What ends a command because of something that its caller can change."""

from aggregator.document.mistake import ConfigError


class CommandError(Exception):
    """A command cannot do what it is asked to; the text says what to change."""


class StartError(CommandError):
    """The service cannot start."""


# What a command says on stderr, without a trace.
MISTAKES = (ConfigError, CommandError)
