"""One region as this gateway knows it: where its streams are opened, what was measured of it, and how it fares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from policies.order_effects import NO_WISH
from policies.region_health import RegionHealth
from policies.routing_facts import CapacityClass, RegionFacts, RegionState
from policies.spill import Spill
from regions.measurements import PeakEwma
from regions.region_links import healthy, spoken_by_engines, spoken_by_relays, stricter

if TYPE_CHECKING:
    from policies.order_effects import RegionWish
    from regions.catalog import RegionSpec
    from regions.placement_rules import PlacementRules
    from regions.region_links import RegionLink, RegionPool, Spoken

_REFERENCE_COST_PERMILLE = 1_000


class RegionWatch:
    """Told the time; `look` first, then `facts`.

    Args:
        spec: as the catalog has it; None: there is no catalog, and the region is this one.
        rtt_prior_ms: to expect until it is measured.
    """

    def __init__(
        self,
        name: str,
        spec: RegionSpec | None,
        pool: RegionPool,
        rules: PlacementRules,
        *,
        is_local: bool,
        rtt_prior_ms: float,
    ) -> None:
        self.name = name
        self.spec = spec
        self.pool = pool
        self.is_local = is_local
        self.rtt_prior_ms = rtt_prior_ms
        self.health = RegionHealth(rules.health, rules.breaker)
        self.wish: RegionWish = NO_WISH
        """What orders want of it."""
        self._spill = Spill(rules.spill)
        self._rules = rules
        self._rtts: dict[str, PeakEwma] = {}
        self._samples: dict[str, object] = {}
        """The last one of each link, to tell a new one."""
        self._probed_at_ms: int | None = None
        """When a probe was answered, or missed, last."""
        self._clock_offset_ms: int | None = None
        self._spoken: Spoken = self._listen()
        self._reported_at_s = -math.inf

    @property
    def healthy_replicas(self) -> int:
        """Engines of this region that take streams; of another region its relays."""
        return len(healthy(self.pool.links))

    @property
    def replicas(self) -> int:
        """Those whose link stands and that do not drain, whatever failed on them."""
        return sum(link.is_connected and not link.is_draining for link in self.pool.links)

    @property
    def open_streams(self) -> int:
        return sum(link.open_streams for link in self.pool.links)

    @property
    def state(self) -> RegionState:
        """What its operators and it itself want; the stricter holds."""
        return stricter(stricter(self._by_catalog, self.wish.state), self._spoken.state)

    @property
    def _by_catalog(self) -> RegionState:
        return RegionState.active if self.spec is None else self.spec.state or RegionState.active

    @property
    def is_being_left(self) -> bool:
        """Whether sessions should go on elsewhere. Where a drain was stopped nothing new comes and nothing goes."""
        wish, spoken = self.wish, self._spoken
        return (
            self._by_catalog is not RegionState.active
            or (wish.state is not RegionState.active and not wish.is_stopped)
            or (spoken.state is not RegionState.active and not spoken.is_stopped)
        )

    @property
    def move_gap_ms(self) -> int:
        """Between two sessions that move out, where operators here or there ask for a pace; 0: nobody does."""
        return max(self.wish.move_gap_ms, self._spoken.move_gap_ms)

    def look(self, now_ms: int) -> None:
        """Read the links, and let what is new count."""
        self._spoken = self._listen()
        self._take_samples(now_ms)
        spoken = self._spoken
        if spoken.heard_at_s > self._reported_at_s:
            self._reported_at_s = spoken.heard_at_s
            self.health.status_heard(now_ms, live_permille=spoken.live_permille, lag_ms=spoken.lag_ms)

    def facts(self, now_ms: int) -> RegionFacts:
        spoken = self._spoken
        measured = [
            rtt_ms
            for link in self.pool.links
            if (rtt := self._rtts.get(link.address)) is not None and (rtt_ms := rtt.value(now_ms)) is not None
        ]
        was_heard = spoken.heard_at_s > -math.inf
        return RegionFacts(
            name=self.name,
            is_local=self.is_local,
            has_engines=self.spec is None or self.spec.has_engines,
            state=self.state,
            health=self.health.state(now_ms),
            rtt_ms=min(measured, default=self.rtt_prior_ms),
            is_rtt_measured=bool(measured),
            age_ms=max(0, now_ms - int(spoken.heard_at_s * 1_000)) if was_heard else None,
            models=spoken.models,
            slots_total=spoken.slots_total,
            free_slots_of_tier=spoken.free_slots,
            free_slots_of_class=spoken.free_slots_of_class,
            placed_since_report=spoken.placed,
            lag_ms=spoken.lag_ms,
            spot_permille=spoken.spot_permille,
            cost_permille=self._cost_permille(),
            clock_offset_ms=self._clock_offset_ms,
            is_reachable=spoken.is_reachable,
            spilling_tiers=self._spill.look(
                now_ms, slots_total=spoken.slots_total, free_slots_of_tier=spoken.free_slots
            ),
        )

    def _listen(self) -> Spoken:
        if self.is_local:
            rules = self._rules
            return spoken_by_engines(
                self.pool.links, rules.headroom, self.capacity_of, rules.classes, self.known_class_of
            )
        return spoken_by_relays(self.pool.links)

    def capacity_of(self, link: RegionLink) -> CapacityClass:
        """By the pool that the engine says it belongs to; one that the catalog does not know is reserved."""
        load = link.load
        return (None if load is None else self.class_of_pool(load.pool)) or CapacityClass.reserved

    def known_class_of(self, link: RegionLink) -> CapacityClass | None:
        """As the pool knows it; None: nobody does."""
        return self.pool.class_of(link.address)

    def class_of_pool(self, name: str) -> CapacityClass | None:
        """By the catalog; None: it does not know the pool."""
        pools = () if self.spec is None else self.spec.pools
        return next((pool.capacity for pool in pools if pool.name == name), None)

    def _cost_permille(self) -> int:
        """The mean of its pools: which one a stream gets, the region decides."""
        pools = () if self.spec is None else self.spec.pools
        return sum(pool.cost_permille for pool in pools) // len(pools) if pools else _REFERENCE_COST_PERMILLE

    def _take_samples(self, now_ms: int) -> None:
        links = self.pool.links
        has_answered = False
        nearest = math.inf
        for link in links:
            sample = link.rtt
            if sample is None or not link.is_connected:
                continue
            if self._samples.get(link.address) is not sample:
                self._samples[link.address] = sample
                self._rtts.setdefault(link.address, PeakEwma()).sample(sample.rtt_us / 1_000, now_ms)
                has_answered = True
            if sample.rtt_us < nearest:
                nearest, self._clock_offset_ms = sample.rtt_us, sample.clock_offset_ms
        if not self.is_local:
            # Of engines here each one's link says whether it lives, and one that starts anew takes sessions at once.
            self._note_probe(now_ms, has_answered=has_answered)
        if len(self._samples) > len(links):
            known = {link.address for link in links}
            self._samples = {address: sample for address, sample in self._samples.items() if address in known}
            self._rtts = {address: rtt for address, rtt in self._rtts.items() if address in known}

    def _note_probe(self, now_ms: int, *, has_answered: bool) -> None:
        if has_answered:
            self._probed_at_ms = now_ms
            self.health.probe_answered(now_ms)
        elif self._probed_at_ms is not None and now_ms - self._probed_at_ms >= self._rules.probe_missed_after_ms:
            self._probed_at_ms = now_ms
            self.health.probe_missed(now_ms)
