"""Notices that the engine makes itself: of a signal, of a parent that is gone, of an operator's call."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from policies.preemption import Confidence, MachineAction, NoticeKind, PreemptionNotice

if TYPE_CHECKING:
    from engines.proto import engine_pb2

MAX_LEAD_MS = 86_400_000


def shutdown_notice(source: str, *, deadline_ms: int) -> PreemptionNotice:
    """The process was told to end, and has so long for it."""
    return PreemptionNotice(
        source=source,
        event_id=uuid.uuid4().hex[:12],
        kind=NoticeKind.shutdown,
        action=MachineAction.unknown,
        told_at_ms=int(time.monotonic() * 1_000),
        lead_ms=deadline_ms,
        confidence=Confidence.proven,
    )


def notice_of(request: engine_pb2.PreemptRequest) -> PreemptionNotice | None:
    """What an operator asks for; None: of no kind that can be told, or with an impossible lead."""
    kind = request.kind or NoticeKind.interruption.value
    if kind not in NoticeKind.__members__ or kind == NoticeKind.shutdown.value:
        return None
    if not 0 <= request.lead_ms <= MAX_LEAD_MS:
        return None
    return PreemptionNotice(
        source="operator",
        event_id=uuid.uuid4().hex[:12],
        kind=NoticeKind(kind),
        action=MachineAction.unknown,
        told_at_ms=int(time.monotonic() * 1_000),
        lead_ms=request.lead_ms or None,
        confidence=Confidence.proven
        if request.lead_ms and (request.is_proven or kind == NoticeKind.operator.value)
        else Confidence.unproven,
    )
