"""Why Redis cannot be asked: a small closed set, made of the library's errors at the border."""

from __future__ import annotations

from enum import StrEnum

import redis.exceptions as theirs


class AwayReason(StrEnum):
    """Also the metric's label and the log's word."""

    unreachable = "unreachable"
    """No connection, or it broke."""
    timed_out = "timed_out"
    """No answer in time; the call may have been carried out."""
    out_of_memory = "out_of_memory"
    read_only = "read_only"
    """A replica answered: the name leads to a server that is no longer the primary."""
    loading = "loading"
    """It reads its data from the disk."""
    cluster_down = "cluster_down"
    refused = "refused"
    """Password or permission."""
    broken = "broken"
    """It answered with what it never should. A fault of ours, or not the Redis that we know."""


class RedisAway(Exception):
    """Redis did not do what it was asked, or did not say so. Ours for now: the same call can be made again.

    `was_asked`: False where the call never had its turn, as too many others were under way. That says nothing of Redis.
    """

    def __init__(self, why: AwayReason, detail: str = "", *, was_asked: bool = True) -> None:
        super().__init__(f"{why.value}: {detail}" if detail else why.value)
        self.why = why
        self.detail = detail
        self.was_asked = was_asked


_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], AwayReason], ...] = (
    # Subclasses before what they are subclasses of: several are ConnectionErrors by descent only.
    ((theirs.BusyLoadingError,), AwayReason.loading),
    ((theirs.AuthenticationError, theirs.AuthorizationError, theirs.NoPermissionError), AwayReason.refused),
    ((theirs.OutOfMemoryError,), AwayReason.out_of_memory),
    ((theirs.ReadOnlyError,), AwayReason.read_only),
    (
        (theirs.ClusterError, theirs.RedisClusterException, theirs.AskError, theirs.TryAgainError),
        AwayReason.cluster_down,
    ),
    ((theirs.TimeoutError, TimeoutError), AwayReason.timed_out),
    ((theirs.ConnectionError, OSError, EOFError), AwayReason.unreachable),
)
LIBRARY_ERRORS = (theirs.RedisError, theirs.RedisClusterException, OSError, EOFError)
"""All that the library may raise for what the server or the network did."""
_BY_CODE = {"BUSY": AwayReason.timed_out, "NOREPLICAS": AwayReason.read_only, "MISCONF": AwayReason.read_only}
"""Codes that the library has no class for: a script that does not end, and writes that the server refuses."""


def away_reason(error: BaseException) -> AwayReason:
    """What an error of the library means."""
    for classes, why in _BY_CLASS:
        if isinstance(error, classes):
            return why
    code = str(error).partition(" ")[0]
    return _BY_CODE.get(code, AwayReason.broken)
