"""What admission asks about revocations, and the answer where nobody keeps any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from policies.facts import Caller


class RevocationCheck(Protocol):
    """Whether a token that proves its caller was revoked since."""

    def check(self, caller: Caller) -> None:
        """Does not wait.

        Raises:
            AuthenticationFailed: `token_revoked`.
            Unavailable: `revocations_unavailable`.
        """


class NothingRevoked:
    """Where there is no Redis: every token holds until it expires."""

    def check(self, caller: Caller) -> None:
        pass
