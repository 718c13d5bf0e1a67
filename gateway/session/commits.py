"""Where a session that may be resumed writes down how far it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.errors import Reason


class SessionCommits(Protocol):
    """Of one session; never waits."""

    def commit(
        self, *, committed_sample: int, charged_through_sample: int, epoch: int, model: str, model_version: str
    ) -> None:
        """Keep it. The fields are those of gateway.resumption.interface.CommitPoint."""

    def close(self, reason: Reason) -> None:
        """The session is over here."""
