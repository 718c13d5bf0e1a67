"""Who a session is: what the machine needs to know of its caller and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.interface import StreamOptions


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """`expires_at_ms` is on the machine's clock; `jitter_permille` (0-999) is drawn once, by the shell."""

    session_id: str
    tenant: str
    region: str
    options: StreamOptions
    expires_at_ms: int
    jitter_permille: int
