"""Watches what a region's engines have and what is asked of them: whether it suffices, and what there should be.

What is in use is what engines report, so that several gateways that watch the same engines say the same. Only sessions
that found no slot are this gateway's own: each gateway says how many of its own callers have none.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.capacity import zone_loss
from policies.scaling import ScalingTarget
from policies.sliding_peak import SlidingPeak
from regions.capacity.fleets import FleetBook, unmet_of
from regions.capacity.snapshot import CapacitySnapshot, FleetCapacity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from policies.tier_slots import TierHeadroom
    from policies.unmet_demand import UnmetDemand
    from regions.capacity.fleets import Fleet
    from regions.capacity.settings import CapacitySettings
    from regions.catalog import PoolSpec
    from regions.links.engine_report import EngineReport

_REMEMBERED_MS = 3_600_000
"""A pool, or a zone of it, that is not in the catalog is known for so long without engines."""
_LEAST_GAP_MS = 100
"""Whoever asks gets what was seen so long ago, instead of another look."""


@dataclass(slots=True)
class _Watched:
    """What is remembered of one fleet."""

    target: ScalingTarget
    peak: SlidingPeak


class CapacityWatch:
    """One a gateway. Its owner runs `run`; `now` looks when it is asked.

    Args:
        headroom: what tiers leave to those above them.
        reports: of the region's engines.
        silent: how many engines are listed and do not answer.
        pools: of the region, as the catalog has them.
    """

    def __init__(
        self,
        settings: CapacitySettings,
        headroom: TierHeadroom,
        *,
        reports: Callable[[], Sequence[EngineReport]],
        pools: Callable[[], Iterable[PoolSpec]],
        unmet: UnmetDemand,
        now_ms: Callable[[], int],
        silent: Callable[[], int] = lambda: 0,
    ) -> None:
        self.settings = settings
        self.headroom = headroom
        self._rules = settings.rules(headroom)
        self._reports = reports
        self._pools = pools
        self._unmet = unmet
        self._now_ms = now_ms
        self._silent = silent
        self.is_held: Callable[[str], bool] = lambda _pool: False
        """Whether operators drain the pool of that name."""
        self._book = FleetBook(_REMEMBERED_MS)
        self._watched: dict[str, _Watched] = {}
        self._since_ms = now_ms()
        self._snapshot: CapacitySnapshot | None = None

    async def run(self) -> None:
        """Look steadily until cancelled: a peak that nobody saw is none."""
        while True:
            self.now()
            await asyncio.sleep(self.settings.look_every_ms / 1_000)

    def now(self) -> CapacitySnapshot:
        now_ms = self._now_ms()
        if self._snapshot is None or now_ms - self._snapshot.taken_at_ms >= _LEAST_GAP_MS:
            self._snapshot = self._look(now_ms)
        return self._snapshot

    def _look(self, now_ms: int) -> CapacitySnapshot:
        reports = self._reports()
        fleets = self._book.look(now_ms, reports, self._pools(), is_held=self.is_held)
        unmet = unmet_of(fleets, self._unmet.by_model(now_ms))
        self._watched = {
            fleet.name: self._watched.get(fleet.name) or self._watch(now_ms) for fleet in fleets
        }  # what is of no fleet any more is forgotten
        return CapacitySnapshot(
            taken_at_ms=now_ms,
            watched_ms=now_ms - self._since_ms,
            has_reports=bool(reports),
            silent_engines=self._silent(),
            fleets=tuple(self._capacity(now_ms, fleet, unmet.get(fleet.name, 0)) for fleet in fleets),
        )

    def _watch(self, now_ms: int) -> _Watched:
        return _Watched(ScalingTarget(self._rules, now_ms), SlidingPeak(self.settings.peak_window_ms))

    def _capacity(self, now_ms: int, fleet: Fleet, unmet_slots: int) -> FleetCapacity:
        watched, settings = self._watched[fleet.name], self.settings
        engine_slots = fleet.any_engine_slots
        wanted = watched.target.wants(now_ms, fleet.rows, unmet_slots=unmet_slots, engine_slots=engine_slots)
        watched.peak.add(now_ms, wanted.demand_slots)
        seen = watched.peak.peak(now_ms) or 0
        expected = max(
            (slots for model, slots in settings.expected_peaks.items() if model in fleet.models), default=None
        )
        return FleetCapacity(
            fleet=fleet,
            unmet_slots=unmet_slots,
            seen_peak_slots=seen,
            expected_slots=expected,
            zone_loss=zone_loss(
                fleet.rows, demand_slots=max(seen, expected or 0), headroom_permille=settings.headroom_permille
            ),
            wanted=wanted,
        )
