"""What a session and the limiter tell each other, as totals since the session's start. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from policies.plans import Level, WhenExhausted


class UsedSoFar(msgspec.Struct, frozen=True):
    """What a session has used since its start, and the compute it would like to be allowed in all.

    `compute_us`: spent by engines for it, without what was spent on replaying after a loss, which is ours.
    `audio_ms`: audio that engines consumed, each piece once.
    `wanted_us`: total compute that lets it run ahead; `least_us`: total without which its next audio must wait.
    """

    compute_us: int
    audio_ms: int
    wanted_us: int
    least_us: int


class QuotaUpdate(msgspec.Struct, frozen=True):
    """News from the limiter.

    `granted_us`: the session may spend this in all; None: no limit holds at present (no limiter, or it is away).
    `remaining_us`: what the tightest level has left; None: unknown or unlimited. `level`: which that is, or which
    refused. `retry_after_ms`: set if less than `least_us` could be granted; when to expect more. `when_exhausted`: what
    the plan says of that by now; None: what it said at the start.
    """

    granted_us: int | None
    remaining_us: int | None = None
    level: Level | None = None
    retry_after_ms: int | None = None
    when_exhausted: WhenExhausted | None = None
