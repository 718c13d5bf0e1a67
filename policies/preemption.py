"""What to make of a notice that a machine goes away: when streams should be gone, when they are handed back. Pure.

A lead time that its source has not proved counts as `UNPROVEN_LEAD_MS`. Half of it is planned with, the rest is luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

UNPROVEN_LEAD_MS = 30_000
"""Google and Azure give so long at best effort (reference: Compute Engine "Spot VMs", Azure "Scheduled Events")."""
PLANNED_LEAVE_MS = 15_000
KEPT_MS = 15_000
"""Of a proven lead: streams are handed back so long before the machine goes."""
MAINTENANCE_AHEAD_MS = 120_000
"""Maintenance may be told days before it comes; a machine is left when it is so near."""


class NoticeKind(StrEnum):
    """What is going to happen."""

    interruption = "interruption"
    """The machine is taken away."""
    rebalance = "rebalance"
    """It is more likely than usual to be taken away."""
    maintenance = "maintenance"
    """Whoever owns the machine works on it."""
    operator = "operator"
    """Somebody wants the engine gone."""
    shutdown = "shutdown"
    """The process was told to end."""


class MachineAction(StrEnum):
    """What becomes of the machine."""

    terminate = "terminate"
    stop = "stop"
    hibernate = "hibernate"
    """Without any lead: it may sleep before the notice is read."""
    restart = "restart"
    freeze = "freeze"
    """It pauses for seconds, and goes on where it was."""
    unknown = "unknown"


class Confidence(StrEnum):
    """Whether the lead can be relied on."""

    proven = "proven"
    unproven = "unproven"


@dataclass(frozen=True, slots=True)
class PreemptionNotice:
    """One thing that a source said. `event_id` tells two of one source apart; the same again is no news.

    Attributes:
        told_at_ms: when it was read, on a monotonic clock.
        lead_ms: from then until the machine goes, as the source said; None: it said nothing.
    """

    source: str
    event_id: str
    kind: NoticeKind
    action: MachineAction
    told_at_ms: int
    lead_ms: int | None = None
    confidence: Confidence = Confidence.unproven


@dataclass(frozen=True, slots=True)
class LeavePlan:
    """Monotonic times, neither before the notice.

    Attributes:
        begin_at_ms: the drain begins; None: this notice begins none, the machine is only at risk.
        leave_by_ms: streams should be gone.
        hand_back_at_ms: those that are still here are handed back to their gateways.
    """

    begin_at_ms: int | None
    leave_by_ms: int
    hand_back_at_ms: int


_ALWAYS = frozenset({NoticeKind.interruption, NoticeKind.operator, NoticeKind.shutdown})


def leave_plan(notice: PreemptionNotice, *, drains_on: frozenset[NoticeKind] = frozenset()) -> LeavePlan:
    """Say when to leave, and by when. No part of the plan is later than the machine's going.

    Args:
        drains_on: kinds that begin a drain although nobody has to hurry, such as `rebalance`.
    """
    told_at_ms = notice.told_at_ms
    lead_ms = counted_lead_ms(notice)
    if notice.kind in (NoticeKind.operator, NoticeKind.shutdown):
        return LeavePlan(told_at_ms, told_at_ms + lead_ms, told_at_ms + lead_ms)
    gone_at_ms = told_at_ms + lead_ms
    begin_at_ms = _begin_at_ms(notice, gone_at_ms, drains_on)
    started_at_ms = told_at_ms if begin_at_ms is None else begin_at_ms
    left_ms = gone_at_ms - started_at_ms
    leave_by_ms = started_at_ms + min(PLANNED_LEAVE_MS, left_ms // 2)
    hand_back_at_ms = leave_by_ms
    if notice.confidence is Confidence.proven:
        hand_back_at_ms = max(leave_by_ms, gone_at_ms - KEPT_MS)
    return LeavePlan(begin_at_ms, leave_by_ms, hand_back_at_ms)


def counted_lead_ms(notice: PreemptionNotice) -> int:
    """How long the machine is reckoned to have, from when the notice was read."""
    if notice.action is MachineAction.hibernate:
        return 0
    if notice.lead_ms is None:
        return UNPROVEN_LEAD_MS
    lead_ms = max(0, notice.lead_ms)
    return lead_ms if notice.confidence is Confidence.proven else min(lead_ms, UNPROVEN_LEAD_MS)


def _begin_at_ms(notice: PreemptionNotice, gone_at_ms: int, drains_on: frozenset[NoticeKind]) -> int | None:
    if notice.kind in _ALWAYS or notice.kind in drains_on:
        return notice.told_at_ms
    if notice.kind is NoticeKind.maintenance and notice.action is not MachineAction.freeze:
        return max(notice.told_at_ms, gone_at_ms - MAINTENANCE_AHEAD_MS)
    return None
