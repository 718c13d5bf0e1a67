"""What this gateway knows of all regions: watches its own engines and its peers' relays, and makes snapshots of it.

These must stay true:
  - A snapshot is never changed. It is replaced whole: at least every `facts_every_ms`, when a link broke under a
    session, when the catalog changed, and with each placement, which it counts at once.
  - Ages are on this machine's monotonic clock; what a peer's clock says is shown and nothing is reckoned with it.
  - Links to a region that left the catalog stay while streams are open on them, for a bounded time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from policies.distance import rtt_prior_ms
from policies.order_effects import NO_WISH
from policies.routing_facts import Health, ModelFacts, RegionSnapshot, RegionState
from regions.discovery.interface import EngineAddress
from regions.region_watch import RegionWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import StreamOptions
    from policies.order_effects import RegionWish
    from policies.routing_facts import CapacityClass, RegionFacts
    from regions.catalog import Catalog, RegionSpec
    from regions.placement_rules import PlacementRules
    from regions.region_links import RegionPool

_LEAST_LOOK_GAP_MS = 20
"""Sessions that lost one engine together ask for one look."""
_HERE_PRIOR_MS = 0.0
_UNKNOWN_PRIOR_MS = 150.0
"""Where this gateway does not know where it is: another continent."""

log = structlog.get_logger("placement")


class Facts:
    """One a gateway. Its owner runs `run` in a task group; before that only this region can be placed in.

    Args:
        here: this region's name.
        catalog: one without regions: this region alone, as it is.
        local: the pool of this region's engines, which its owner runs.
        dial: makes the pool of a peer's relays; it is run, and ended, here.
    """

    def __init__(
        self,
        here: str,
        *,
        catalog: Catalog,
        local: RegionPool,
        dial: Callable[[RegionSpec], RegionPool],
        rules: PlacementRules,
        now_ms: Callable[[], int],
    ) -> None:
        self.here = here
        self.catalog = catalog
        self.local = local
        self._dial = dial
        self._rules = rules
        self._now_ms = now_ms
        self._watches: dict[str, RegionWatch] = {}
        self._running: dict[RegionWatch, asyncio.Task[None]] = {}
        self._leaving: dict[RegionWatch, int] = {}
        """Regions that left the catalog, and until when their links stay."""
        self._listeners: list[Callable[[RegionSnapshot], None]] = []
        self._wish_for: Callable[[str], RegionWish] = lambda _name: NO_WISH
        self._wake = asyncio.Event()
        self._facts: dict[str, RegionFacts] = {}
        self._taken_at_ms = 0
        self._snapshot: RegionSnapshot | None = None
        self._follow_catalog()
        self._look()

    # --- what is known ------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> RegionSnapshot:
        if self._snapshot is None:
            self._snapshot = RegionSnapshot(self._taken_at_ms, tuple(self._facts.values()))
        return self._snapshot

    @property
    def snapshot_age_ms(self) -> int:
        """Since the links were looked at."""
        return self._now_ms() - self._taken_at_ms

    def region(self, name: str) -> RegionWatch | None:
        return self._watches.get(name)

    def takes_clients(self, name: str) -> bool:
        """Whether those whom this region sends away should go there. Of an edge site, and of a region that was not
        looked at yet, nothing speaks against it.
        """
        facts = self._facts.get(name)
        if facts is None or not facts.has_engines:
            return True
        return facts.state is RegionState.active and facts.is_reachable and facts.health is not Health.tripped

    def class_of_pool(self, name: str) -> CapacityClass | None:
        """Of this region, by the catalog; None: it does not know the pool."""
        here = self._watches.get(self.here)
        return None if here is None else here.class_of_pool(name)

    def leaving(self) -> set[RegionWatch]:
        """Regions whose sessions should go on elsewhere."""
        return {region for region in (*self._watches.values(), *self._leaving) if self.is_leaving(region)}

    def is_leaving(self, region: RegionWatch) -> bool:
        """Whether its sessions should go on elsewhere."""
        return self._watches.get(region.name) is not region or region.is_being_left

    def is_over(self, region: RegionWatch) -> bool:
        """Whether nothing may stay there."""
        return self._watches.get(region.name) is not region or region.state is RegionState.disabled

    def watch(self, on_snapshot: Callable[[RegionSnapshot], None]) -> None:
        """Hear of each snapshot that was made by a look; not of those that only count a placement."""
        self._listeners.append(on_snapshot)

    # --- what happens -------------------------------------------------------------------------------------

    def placed(self, name: str, options: StreamOptions) -> None:
        """A stream was opened there: count it before the next look does."""
        facts = self._facts.get(name)
        if facts is None:
            return
        self._facts[name] = replace(
            facts,
            placed_since_report=facts.placed_since_report + 1,
            free_slots_of_tier={tier: free - 1 for tier, free in facts.free_slots_of_tier.items()},
            # Of which class its engine is shows at the next look; until then it is missing for each.
            free_slots_of_class={name: free - 1 for name, free in facts.free_slots_of_class.items()},
            models=tuple(_less_one(model, options) for model in facts.models),
        )
        self._snapshot = None

    def look_again(self) -> bool:
        """Something is not as the snapshot has it. False: it was made just now, and says what there is to say."""
        if self._now_ms() - self._taken_at_ms < _LEAST_LOOK_GAP_MS:
            return False
        self._look()
        # The others hear of it in a turn of their own: who asks is in the middle of something.
        self._wake.set()
        return True

    def set_wishes(self, wish_for: Callable[[str], RegionWish]) -> None:
        """What orders want of each region from here on, those that come later among them."""
        self._wish_for = wish_for
        is_other = False
        for name, region in self._watches.items():
            wish = wish_for(name)
            is_other = is_other or wish != region.wish
            region.wish = wish
        if is_other:
            self._look()
            self._wake.set()

    def catalog_changed(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._follow_catalog()
        self._look()
        self._wake.set()

    # --- the task -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the links to peers up and the snapshot fresh until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            try:
                while True:
                    self._run_pools(tasks)
                    self._look()
                    for listener in self._listeners:
                        listener(self.snapshot)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._rules.facts_every_ms / 1_000):
                            await self._wake.wait()
                    self._wake.clear()
            finally:
                for task in self._running.values():
                    task.cancel()

    def _run_pools(self, tasks: asyncio.TaskGroup) -> None:
        for region in self._watches.values():
            if not region.is_local and region not in self._running:
                self._running[region] = tasks.create_task(region.pool.run())
        for region, until_ms in list(self._leaving.items()):
            if self._now_ms() >= until_ms or region.open_streams == 0:
                del self._leaving[region]
                if (task := self._running.pop(region, None)) is not None:
                    task.cancel()

    # --- parts --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        now_ms = self._now_ms()
        facts = {}
        for region in self._watches.values():
            region.look(now_ms)
            facts[region.name] = region.facts(now_ms)
            self._note_health(region.name, facts[region.name])
        self._facts = facts
        self._taken_at_ms = now_ms
        self._snapshot = None

    def _note_health(self, name: str, facts: RegionFacts) -> None:
        was = self._facts.get(name)
        if was is not None and was.health is not facts.health:
            causes = [cause.value for cause in self._watches[name].health.causes(self._now_ms())]
            log.warning("region.health_changed", of_region=name, health=facts.health.value, causes=causes)
        if was is not None and was.state is not facts.state:
            log.info("region.state_changed", of_region=name, state=facts.state.value)

    def _follow_catalog(self) -> None:
        specs = dict(self.catalog.regions)
        for name, region in list(self._watches.items()):
            if name not in specs and not (region.is_local and not specs):
                del self._watches[name]
                self._leaving[region] = self._now_ms() + self._rules.linger_ms
        if not specs and self.here not in self._watches:
            self._watches[self.here] = self._watch_of(self.here, None)
        for name, spec in specs.items():
            known = self._watches.get(name)
            if known is None:
                self._watches[name] = self._watch_of(name, spec)
                continue
            if not known.is_local and known.spec is not None and known.spec.relays != spec.relays:
                known.pool.set_members(tuple(EngineAddress(address) for address in spec.relays))
            known.spec = spec
            known.rtt_prior_ms = self._prior_ms(name, spec)

    def _watch_of(self, name: str, spec: RegionSpec | None) -> RegionWatch:
        is_local = name == self.here
        pool = self.local if is_local or spec is None else self._dial(spec)
        prior_ms = self._prior_ms(name, spec)
        region = RegionWatch(name, spec, pool, self._rules, is_local=is_local, rtt_prior_ms=prior_ms)
        region.wish = self._wish_for(name)
        return region

    def _prior_ms(self, name: str, spec: RegionSpec | None) -> float:
        if name == self.here:
            return _HERE_PRIOR_MS
        here = self.catalog.regions.get(self.here)
        return _UNKNOWN_PRIOR_MS if here is None or spec is None else rtt_prior_ms(here.location, spec.location)


def _less_one(model: ModelFacts, options: StreamOptions) -> ModelFacts:
    if options.model not in ("", model.name) or options.model_version not in ("", model.version):
        return model
    return replace(model, slots_free=model.slots_free - 1)
