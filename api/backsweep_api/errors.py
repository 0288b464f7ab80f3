"""Errors by who must act on them; every error of Backsweep descends from `BacksweepError`.

`reason` is one CamelCase word: it is the reason of a condition, the key of a log search and
the first word of what the command line prints. docs/errors.md lists them all.
"""


class BacksweepError(Exception):
    """Base of every error Backsweep raises on purpose."""

    reason = "BacksweepError"


class UserError(BacksweepError):
    """The user must change something; trying again without that cannot help."""

    reason = "UserError"


class NumericError(BacksweepError):
    """A computation has no answer: recorded as a failed window or trial, never papered over."""

    reason = "NumericError"


class TransientError(BacksweepError):
    """Trying again may help; nothing that was finished is lost."""

    reason = "TransientError"

    def __init__(self, message: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class InvariantError(BacksweepError):
    """A bug in Backsweep: stop this piece of work, keep the others."""

    reason = "InvariantError"


class SpecError(UserError):
    """The document is not a valid BacktestSweep; `problems` has one sentence each."""

    reason = "InvalidSpec"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NotBuiltError(UserError):
    """The document asks for work that this release does not do; it is refused, never ignored.

    `problems` has one sentence for each field.
    """

    reason = "NotBuilt"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
