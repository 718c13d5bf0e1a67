"""Which regions a session moves out of, so that its next stream does not land where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import MoveReason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regions.placed_stream import PlacedStream

OUT_OF_REGION = frozenset({MoveReason.region_draining, MoveReason.outside_policy})
"""All of the region is meant, not one engine of it."""
_TWO_REPLICAS = 2
_NOWHERE: frozenset[str] = frozenset()


def regions_left(stream: PlacedStream, streams: Iterable[PlacedStream]) -> tuple[frozenset[str], frozenset[str]]:
    """Give the regions that must be left and those that had better be: the session's engine there is slow, and no
    other one is in sight. Both are empty for a stream that is no handover.

    Args:
        streams: all of the session, `stream` among them or not.
    """
    if not stream.is_handover:
        return _NOWHERE, _NOWHERE
    must: set[str] = set()
    better: set[str] = set()
    for other in streams:
        region = other.region
        if other is stream or not other.is_granted or region is None:
            continue
        if other.move_reason in OUT_OF_REGION:
            if not other.leaves_region:
                continue
            must.add(region.name)
        elif other.move_reason is None and region.replicas < _TWO_REPLICAS:
            # Nobody said why, so its engine is slow. Behind a relay there may be another one; here there is not. Others
            # count that failed a moment ago, as the slow one itself may have: the pool knows which of them to take.
            (must if region.is_local else better).add(region.name)
    return frozenset(must), frozenset(better)
