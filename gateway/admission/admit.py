"""Admission: a proven caller, a place among the sessions, or a typed refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.errors import AuthenticationFailed, Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from gateway.admission.settings import SessionLimitSettings
    from gateway.admission.tokens import TokenVerifier
    from policies.facts import Caller


class SessionLease(Protocol):
    """A place among the sessions. It comes back at the first `release` and never twice."""

    def release(self) -> None:
        """Give the place back. Does not wait; may be called again, which does nothing."""


class SessionLimits(Protocol):
    """Who may open one more session."""

    async def acquire(self, caller: Caller) -> SessionLease:
        """Take a place.

        Raises:
            Unavailable: `too_many_sessions`, with a time after which to try again.
        """


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who is let in, and his place; release it when the session ends, however it ends."""

    caller: Caller
    lease: SessionLease

    def __enter__(self) -> Admitted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lease.release()


class Admission:
    """The door. `now_s` gives Unix seconds."""

    def __init__(self, verifier: TokenVerifier, limits: SessionLimits, now_s: Callable[[], int]) -> None:
        self._verifier = verifier
        self._limits = limits
        self._now_s = now_s

    async def admit(self, token: str | None) -> Admitted:
        """Let one session in.

        Raises:
            AuthenticationFailed: `token_missing`, or what is wrong with the token.
            Unavailable: `too_many_sessions` or `keys_unavailable`.
        """
        if not token:
            raise AuthenticationFailed(
                Reason.token_missing, "send `Authorization: Bearer <token>`, or `token` in `start`"
            )
        caller = await self._verifier.verify(token, now_s=self._now_s())
        return Admitted(caller, await self._limits.acquire(caller))


class LocalSessionLimits:
    """Counts the sessions of this process: all together, and for each tenant."""

    def __init__(self, settings: SessionLimitSettings) -> None:
        self._settings = settings
        self._num_sessions = 0
        self._num_sessions_of: dict[str, int] = {}

    @property
    def num_sessions(self) -> int:
        return self._num_sessions

    def num_sessions_of(self, tenant: str) -> int:
        return self._num_sessions_of.get(tenant, 0)

    async def acquire(self, caller: Caller) -> SessionLease:
        if self._num_sessions >= self._settings.max_sessions:
            raise self._full("this gateway holds as many sessions as it may")
        of_tenant = self.num_sessions_of(caller.tenant)
        if of_tenant >= self._settings.max_sessions_per_tenant:
            raise self._full(f"your tenant holds {of_tenant} sessions here, as many as it may")
        self._num_sessions += 1
        self._num_sessions_of[caller.tenant] = of_tenant + 1
        return _LocalLease(lambda: self._release(caller.tenant))

    def _full(self, detail: str) -> Unavailable:
        return Unavailable(Reason.too_many_sessions, detail, retry_after_ms=self._settings.retry_after_ms)

    def _release(self, tenant: str) -> None:
        self._num_sessions -= 1
        self._num_sessions_of[tenant] -= 1
        if self._num_sessions_of[tenant] == 0:
            del self._num_sessions_of[tenant]


class _LocalLease:
    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()
