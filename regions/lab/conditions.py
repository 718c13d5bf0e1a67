"""What a link of the lab is like: delay, jitter, loss and bandwidth, and how long data takes with them. Pure.

TCP hides loss: what is lost is sent again, and all that follows waits for it. So loss is modelled as what TCP makes of
it, time. A lost segment comes a retransmission time-out later, twice that if it is lost again, and so on. Fast
retransmission is not modelled: the delays here are those of a flow too thin for it, which live audio is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

SEGMENT_BYTES = 1_448
"""TCP payload of an Ethernet frame with time stamps."""
LEAST_RETRANSMIT_S = 0.2
"""Linux's TCP_RTO_MIN."""
_MOST_RETRANSMIT_S = 3.0


class Dice(Protocol):
    """What is random here; random.Random is one."""

    def random(self) -> float:
        """In [0, 1)."""


class Conditions(BaseModel, frozen=True, extra="forbid"):
    """One way of a link; both ways have the same."""

    delay_ms: float = Field(default=0.0, ge=0, le=10_000)
    jitter_ms: float = Field(default=0.0, ge=0, le=10_000)
    """Up to so much more, drawn evenly for each piece; pieces keep their order, as in TCP."""
    loss_permille: int = Field(default=0, ge=0, le=500)
    """Of the segments."""
    bandwidth_kbit_s: int = Field(default=0, ge=0)
    """0: no limit."""


def travel_s(num_bytes: int, conditions: Conditions, dice: Dice) -> float:
    """How long one piece of data is under way, without waiting for what is before it."""
    elapsed_s = (conditions.delay_ms + conditions.jitter_ms * dice.random()) / 1_000
    if conditions.loss_permille:
        segments = -(-num_bytes // SEGMENT_BYTES)
        elapsed_s += max((_retransmissions_s(conditions, dice) for _ in range(segments)), default=0.0)
    return elapsed_s


def transmission_s(num_bytes: int, conditions: Conditions) -> float:
    """How long the link is busy with one piece of data."""
    return num_bytes * 8 / (conditions.bandwidth_kbit_s * 1_000) if conditions.bandwidth_kbit_s else 0.0


def _retransmissions_s(conditions: Conditions, dice: Dice) -> float:
    waited_s = 0.0
    timeout_s = LEAST_RETRANSMIT_S + 2 * conditions.delay_ms / 1_000
    while dice.random() * 1_000 < conditions.loss_permille:
        waited_s += timeout_s
        timeout_s = min(2 * timeout_s, _MOST_RETRANSMIT_S)
    return waited_s


def worst_of(lateness_s: Sequence[float]) -> dict[str, float]:
    """What a relay adds by itself: how much later than due it wrote, in milliseconds."""
    if not lateness_s:
        return {"p50_ms": 0.0, "p99_ms": 0.0}
    ordered = sorted(lateness_s)
    last = len(ordered) - 1
    return {
        "p50_ms": round(1_000 * ordered[round(0.5 * last)], 3),
        "p99_ms": round(1_000 * ordered[round(0.99 * last)], 3),
    }
