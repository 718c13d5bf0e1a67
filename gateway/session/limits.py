"""The bounds of one session, as plain numbers that rules and machine share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.session.slowness import SlownessLimits
    from policies.backpressure import HoldingLimits
    from policies.failover import RecoveryLimits


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """All waits are elapsed milliseconds.

    Attributes:
        idle_ms: nothing from a client that we are reading from, for so long, ends the session.
        session_ms: the longest session; it may finish its utterance within `ending_grace_ms`.
        ending_grace_ms: how long an utterance may go on after the session must end; then it is cut.
        liveness_ms: an engine that owes an answer and gives none for so long is lost.
        stall_samples: audio sent and not consumed beyond which an engine owes an answer, and is behind.
        opening_ms: how long a new session waits for its first engine.
        least_audio_samples: less audio than this is not sent to an engine by itself, except before a cut.
        pending_cuts: `finalize` requests that may be under way at once.
    """

    idle_ms: int
    session_ms: int
    ending_grace_ms: int
    liveness_ms: int
    stall_samples: int
    opening_ms: int
    least_audio_samples: int
    pending_cuts: int
    holding: HoldingLimits
    recovery: RecoveryLimits
    slowness: SlownessLimits
