"""What policy permits of one session, asked at each step that its audio takes: where, on which machines, with which
grant.

These must stay true:
  - A region is asked only while the set of that moment holds it: `process` for a session that begins, `failover` for
    one that goes on. A running stream is judged by the same set as when it was opened.
  - Where the set restricts machines, one of which nobody knows the class counts as not permitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from policies.routing_facts import ALL_CLASSES
from regions.links.pool_stream import PoolStream
from regions.placing import Placed
from regions.triggers import trigger_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import OpenStream
    from policies.residency.permitted import Permitted
    from policies.routing_facts import CapacityClass
    from regions.placed_stream import PlacedStream
    from regions.placing import SessionPlace
    from regions.region_watch import RegionWatch


class SessionFence:
    """One a session. `permitted` is replaced when the policy set is another one."""

    def __init__(self, place: SessionPlace) -> None:
        self._place = place
        self.permitted: Permitted = place.permitted

    @property
    def restricted_classes(self) -> tuple[tuple[str, frozenset[CapacityClass]], ...]:
        """Of the regions in which not every machine is permitted; sorted."""
        permitted = self.permitted
        regions = sorted(permitted.process | permitted.failover)
        known = ((name, permitted.classes_in(name)) for name in regions)
        return tuple((name, classes) for name, classes in known if not classes >= ALL_CLASSES)

    def regions_for(self, asked: OpenStream) -> frozenset[str]:
        return self.permitted.recognising(goes_on=asked.is_replay)

    def may_ask(self, stream: PlacedStream, region: str) -> bool:
        """Whether any of its machines may have the stream."""
        return self._may_be(stream, region) and bool(self.permitted.classes_in(region))

    def takes_any_machine(self, region: str) -> bool:
        return self.permitted.classes_in(region) >= ALL_CLASSES

    def may_stay(self, stream: PlacedStream, region: RegionWatch) -> bool:
        """Where it is, on that machine, by what is known of it now; behind a relay, what it was asked by counts."""
        if not self._may_be(stream, region.name):
            return False
        permitted = self.permitted.classes_in(region.name)
        if permitted >= ALL_CLASSES:
            return True
        inner = stream.inner
        if region.is_local and isinstance(inner, PoolStream) and inner.replica is not None:
            return region.pool.class_of(inner.replica.address) in permitted
        if stream.capacity is not None:
            return stream.capacity in permitted
        return stream.classes is not None and stream.classes <= permitted

    def opened(self, stream: PlacedStream, region: str) -> OpenStream:
        """What the region is asked for: with the machines that it may be on, and the grant of this moment."""
        permitted = self.permitted.classes_in(region)
        stream.classes = None if permitted >= ALL_CLASSES else permitted
        grant = b"" if self._place.grant is None else self._place.grant()
        if stream.classes is None and not grant:
            return stream.asked
        return msgspec.structs.replace(stream.asked, classes=stream.classes, grant=grant)

    def granted(
        self, stream: PlacedStream, streams: Sequence[PlacedStream], region: RegionWatch, from_region: str | None
    ) -> None:
        """An engine of the region took it."""
        inner = stream.inner
        if isinstance(inner, PoolStream) and inner.replica is not None:
            stream.capacity = region.pool.class_of(inner.replica.address)
        if stream.capacity is None and stream.classes is not None and len(stream.classes) == 1:
            (stream.capacity,) = stream.classes
        self._tell(stream, streams, region.name, from_region)

    def found_nowhere(self, stream: PlacedStream, streams: Sequence[PlacedStream], from_region: str | None) -> None:
        """Told on only where policy leaves nothing: that regions are full or away is no decision of policy."""
        if not self.regions_for(stream.asked):
            self._tell(stream, streams, "", from_region)

    def _may_be(self, stream: PlacedStream, region: str) -> bool:
        return region in self.regions_for(stream.asked)

    def _tell(
        self, stream: PlacedStream, streams: Sequence[PlacedStream], chosen: str, from_region: str | None
    ) -> None:
        if self._place.on_placed is None:
            return
        self._place.on_placed(
            Placed(
                trigger=trigger_of(stream, streams),
                from_region=from_region or "",
                chosen=chosen,
                capacity=stream.capacity,
                permitted=self.regions_for(stream.asked),
                goes_on=stream.asked.is_replay,
            )
        )
