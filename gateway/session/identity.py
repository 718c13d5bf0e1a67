"""Who a session is: what the machine needs to know of its caller and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.session.origin import SessionOrigin

if TYPE_CHECKING:
    from engines.interface import StreamOptions

_NEW = SessionOrigin()


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """`expires_at_ms` is on the machine's clock; `jitter_permille` (0-999) is drawn once, by the shell.

    `tier`: of the caller's plan, for engines. `resume_token`, `resume_at`: what the client is told about going on
    elsewhere; without a token the session cannot be resumed.
    """

    session_id: str
    tenant: str
    region: str
    options: StreamOptions
    expires_at_ms: int
    jitter_permille: int
    tier: str = ""
    resume_token: str = ""
    resume_at: tuple[str, ...] = ()
    origin: SessionOrigin = _NEW
