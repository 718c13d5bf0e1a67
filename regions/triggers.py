"""What makes placement look for an engine, in the words of residency. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import MoveReason
from policies.residency.vocabulary import Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regions.placed_stream import PlacedStream

_REBALANCES = (None, MoveReason.engine_slow)


def trigger_of(stream: PlacedStream, streams: Iterable[PlacedStream]) -> Trigger:
    """`streams`: all of the session, `stream` among them or not."""
    if stream.is_handover:
        others = [other for other in streams if other is not stream and other.is_granted]
        is_slow = all(other.move_reason in _REBALANCES for other in others)
        return Trigger.rebalance if is_slow else Trigger.drain
    return Trigger.failover if stream.asked.is_replay else Trigger.initial
