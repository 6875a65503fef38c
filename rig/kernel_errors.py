"""The errors of a run on the kernel, and the exceptions that end a wait.

Import them from `rig.kernel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rig.tasks import Scope


class KernelError(Exception):
    """A run that could not go on. Every kind prints who waits for what."""


class Deadlock(KernelError):
    """Nothing is left to do and somebody still waits."""


class Horizon(KernelError):
    """The run reached its bound on simulated time."""


class Livelock(KernelError):
    """Too many events at one instant: time does not go on."""


class Outside(KernelError):
    """Somebody outside the kernel's own events touched it by another door than `post`."""


class ActorError(KernelError):
    """An actor or a callback failed and nobody joined it; the failure is `__cause__`.

    Attributes:
        actor: the name of the task, or of the function for a callback.
        at_us: when it failed.
        cause: the failure itself.
    """

    def __init__(self, actor: str, at_us: int, cause: BaseException) -> None:
        # The arguments as they are, so that a search process can hand the error to another by pickle.
        super().__init__(actor, at_us, cause)
        self.actor = actor
        self.at_us = at_us
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.actor} failed at {self.at_us} us: {type(self.cause).__name__}: {self.cause}"


class Timeout(Exception):
    """The time-out of a wait or of a `timeout` block ran out (the builtin one is an OSError)."""


class ChannelClosed(Exception):
    """The channel is closed, and nothing that was put before is left."""


class Cancelled(BaseException):
    """Thrown into a task at its await when it is cancelled or a time-out block around it expires."""

    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope


class Finished(BaseException):
    """Ends the kernel's loop when the main actor and its children have ended (internal)."""
