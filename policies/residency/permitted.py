"""The regions that one session may use, for each thing that is done with it: what decisions come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.routing_facts import ALL_CLASSES, CapacityClass


@dataclass(frozen=True, slots=True)
class Permitted:
    """A region that is not in a set is not in it, whatever else is known of the region.

    Attributes:
        terminate: gateways there may end the connection.
        process: engines there may take it when it begins. Where the region is not the gateway's own, it may relay too.
        failover: the same, for a session that goes on.
        checkpoint: its commit points may be kept there.
        classes: engines of which capacity, by region; a region that is not named here: of any.
    """

    terminate: frozenset[str] = frozenset()
    process: frozenset[str] = frozenset()
    failover: frozenset[str] = frozenset()
    checkpoint: frozenset[str] = frozenset()
    classes: Mapping[str, frozenset[CapacityClass]] = field(default_factory=dict)

    @classmethod
    def everywhere_in(cls, regions: frozenset[str]) -> Permitted:
        """All of it in each of them, as plain lists of regions mean it."""
        return cls(regions, regions, regions, regions)

    def recognising(self, *, goes_on: bool) -> frozenset[str]:
        """Where engines may have it now."""
        return self.failover if goes_on else self.process

    def classes_in(self, region: str) -> frozenset[CapacityClass]:
        return self.classes.get(region, ALL_CLASSES)
