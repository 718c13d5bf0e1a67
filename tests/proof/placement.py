"""Sessions under the real placement, with fakes for links: engines lost, regions drained, policies changed, whenever.

A case is one step of a session. Each region that is asked is held against the oracle at the moment when it is asked,
and so is each stream that goes on after a policy changed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import msgspec
from prometheus_client import CollectorRegistry

from engines.interface import LossReason, Lost, OpenStream, RefusalReason, StreamEvent, StreamOptions
from policies.plans import Tier
from policies.residency.vocabulary import Action, Trigger
from policies.routing_facts import ALL_CLASSES, CapacityClass, RegionState
from regions.catalog import Catalog, Location, PoolSpec, RegionSpec
from regions.facts import Facts
from regions.placed_stream import PlacedStream
from regions.placement import RegionalPlacement
from regions.placement_metrics import PlacementMetrics
from regions.placement_rules import PlacementRules
from regions.placing import SessionPlace
from regions.session_pool import PlacedSession
from tests.fakes.region_pool import CountedStream, FakeLink, FakeRegionPool, load_of, status_of
from tests.proof.bundles import HOUR, REGIONS, BundleMaker
from tests.proof.callers import some_situation
from tests.proof.fence import Asking, Doing, Policy, seconds_of
from tests.proof.router import Tally

RULES = PlacementRules(
    facts_every_ms=20, outside_policy_ms=0, move_within_ms=200, drain_spread_ms=0, hold_ms=0, retry_after_ms=500
)
_STEPS = 60
_DRAWN = 60
_SESSIONS = 3
"""At once, so that tiers shed each other."""


def run_placement(seed: int, starter: Mapping[str, bytes]) -> Tally:
    """One topology and a few sessions in it. Ends within milliseconds."""
    return asyncio.run(_World(seed, starter).run())


class _WatchedPool(FakeRegionPool):
    """Says of each stream that it is asked for, before it answers. Its engines are all of one class; of those behind a
    relay only the relay knows it.
    """

    def __init__(
        self, name: str, machines: CapacityClass, on_asked: Callable[[str, OpenStream], None], *, is_local: bool
    ) -> None:
        super().__init__(FakeLink(f"{name}:1"))
        self.machines = machines
        self.capacity = machines if is_local else None
        self._name = name
        self._on_asked = on_asked

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> CountedStream:
        self._on_asked(self._name, stream)
        return super().open(stream, on_event)


class _Held:
    """One session, and what it heard."""

    def __init__(self, asking: Asking, pool: PlacedSession, name: str) -> None:
        self.asking = asking
        self.pool = pool
        self.name = name
        self.streams: list[PlacedStream] = []
        self._epoch = 0

    def open(self, *, is_replay: bool) -> None:
        self._epoch += 1
        asked = OpenStream(
            session_id=self.name,
            tenant="t",
            epoch=self._epoch,
            start_sample=0,
            options=StreamOptions(),
            is_replay=is_replay,
        )
        self.streams.append(self.pool.pool().open(asked, lambda _event: None))


class _World:
    def __init__(self, seed: int, starter: Mapping[str, bytes]) -> None:
        self._seed = seed
        self._dice = dice = random.Random(seed)
        maker = BundleMaker(starter, dice)
        self._noon = maker.noon()
        self._regions = tuple(dice.sample(REGIONS, dice.randint(2, 6)))
        self._names = frozenset(self._regions)
        self._here = self._regions[0]
        self._policies = [Policy(maker.make(self._regions, self._noon)) for _ in range(dice.choice((1, 1, 2)))]
        self._policy = self._policies[0]
        self._at_s = seconds_of(self._noon)
        self._now_ms = 100_000
        self._tally = Tally(topologies=1)
        self._held: dict[str, _Held] = {}
        self._catalog = Catalog({name: self._spec(name) for name in self._regions}, "d1")
        self._pools = {name: self._pool(name) for name in self._regions}
        self._askers: list[Asking] = []
        self._facts: Facts
        self._placement: RegionalPlacement

    def _spec(self, name: str) -> RegionSpec:
        dice = self._dice
        return RegionSpec(
            name=name,
            location=Location(dice.uniform(-60, 60), dice.uniform(-170, 170)),
            country="DE",
            jurisdictions=frozenset({"eu"}),
            operator="us",
            gateways=(f"wss://{name}.example/v1/stream",),
            relays=(f"{name}.example:8085",),
            pools=(PoolSpec("l4", CapacityClass.reserved, "l4", (("scripted", ""),)),),
            state=RegionState.active,
        )

    def _pool(self, name: str) -> _WatchedPool:
        machines = self._dice.choice(list(CapacityClass))
        return _WatchedPool(name, machines, self._asked, is_local=name == self._here)

    async def run(self) -> Tally:
        self._hear()
        self._facts = Facts(
            self._here,
            catalog=self._catalog,
            local=self._pools[self._here],
            dial=lambda region: self._pools[region.name],
            rules=RULES,
            now_ms=lambda: self._now_ms,
        )
        self._placement = RegionalPlacement(
            self._facts, RULES, PlacementMetrics(CollectorRegistry()), now_ms=lambda: self._now_ms
        )
        self._askers = self._some_askers()
        for number in range(_STEPS):
            if len(self._held) < _SESSIONS:
                self._begin(f"s{number}")
            if self._held:
                await self._step()
        for held in self._held.values():
            held.pool.close()
        return self._tally

    def _some_askers(self) -> list[Asking]:
        """Callers of this gateway, mostly such as it may serve: of all that are drawn, most are refused."""
        dice, oracle = self._dice, self._policy.oracle
        projects = {project: row["profile"] for project, row in oracle.projects.items()}
        profiles = sorted(oracle.profiles)
        drawn = [
            Asking(some_situation(dice, profiles, projects), self._here, dice.random() < 0.1) for _ in range(_DRAWN)
        ]
        may_hear = Doing(Action.terminate, self._here, Trigger.initial)
        served = [asking for asking in drawn if self._policy.is_permitted(asking, may_hear, self._at_s)]
        return [*served[:_SESSIONS], drawn[0]]

    def _begin(self, name: str) -> None:
        asking = self._dice.choice(self._askers)
        permitted = self._policy.permitted(asking, self._names, self._at_s)
        if self._here not in permitted.terminate:
            self._tally.outcomes["placement: refused at the door"] += 1
            return
        tier = self._dice.choice(list(Tier))
        place = SessionPlace(name, permitted, tier, self._dice.randrange(1_000), end=lambda _shed: self._end(name))
        self._held[name] = _Held(asking, self._placement.session(place), name)

    def _end(self, name: str) -> bool:
        held = self._held.pop(name, None)
        if held is not None:
            asyncio.get_running_loop().call_soon(held.pool.close)
        return held is not None

    # --- what befalls it ------------------------------------------------------------------------------------------

    async def _step(self) -> None:
        dice = self._dice
        name = dice.choice(self._regions)
        held = self._held[dice.choice(sorted(self._held))]
        self._tally.cases += 1
        match dice.choice(("open", "open", "open", "lose", "refuse", "load", "state", "time", "policy", "cancel")):
            case "open":
                held.open(is_replay=bool(held.streams) and dice.random() < 0.8)
            case "lose":
                for engine in self._pools[name].streams:
                    engine.say(Lost(engine.opened.epoch, dice.choice(list(LossReason))))
            case "refuse":
                self._pools[name].refuses = dice.choice((None, None, RefusalReason.no_free_slot, *RefusalReason))
            case "load":
                self._pools[name].link.load = dice.choice((None, load_of(used=0), load_of(used=10)))
            case "state":
                self._catalog = Catalog(
                    self._catalog.regions
                    | {name: replace(self._catalog.regions[name], state=dice.choice(list(RegionState)))},
                    "d2",
                )
                self._facts.catalog_changed(self._catalog)
            case "cancel" if held.streams:
                held.streams.pop(0).cancel(dice.choice((None, LossReason.silent)))
            case "time":
                self._time_passes(dice.choice((20, 1_000, 11_000)))
            case "policy":
                self._another_hour()
            case _:
                pass
        await self._settle()
        self._look_at_what_goes_on()

    def _time_passes(self, elapsed_ms: int) -> None:
        self._now_ms += elapsed_ms
        self._hear()
        self._facts.look_again()

    def _another_hour(self) -> None:
        """Time goes by, or a bundle comes; whoever is not permitted here any more ends."""
        if self._dice.random() < 0.5:
            self._policy = self._policies[-1]
        self._at_s = max(self._at_s, seconds_of(self._noon + self._dice.choice((0, 1, 2, 3)) * HOUR))
        for name, held in list(self._held.items()):
            permitted = self._policy.permitted(held.asking, self._names, self._at_s)
            if self._here in permitted.terminate:
                held.pool.permit(permitted)
            else:
                self._held.pop(name)
                held.pool.close()
                self._tally.outcomes["placement: ended, its gateway may not hear it any more"] += 1

    def _hear(self) -> None:
        for name, pool in self._pools.items():
            if pool.link.load is None:
                continue
            pool.link.hear(self._now_ms)
            if name != self._here and pool.link.region is None:
                slots = {pool.machines.value: 10}
                pool.link.region = msgspec.structs.replace(status_of(name), free_slots_of_class=slots)

    async def _settle(self) -> None:
        for _ in range(2):
            await asyncio.sleep(0.0002)
            for _ in range(8):
                await asyncio.sleep(0)

    # --- what is held against the oracle ----------------------------------------------------------------------------

    def _asked(self, region: str, stream: OpenStream) -> None:
        held = self._held.get(stream.session_id)
        if held is None:
            self._tally.violations.append(f"seed {self._seed}: {region} was asked for a session that is over")
            return
        self._tally.examined += 1
        self._tally.outcomes[f"placement: asked {'here' if region == self._here else 'elsewhere, by a relay'}"] += 1
        self._hold(held.asking, region, goes_on=stream.is_replay, classes=stream.classes)

    def _look_at_what_goes_on(self) -> None:
        for held in self._held.values():
            for stream in held.pool.streams:
                if stream.is_granted and stream.region is not None:
                    classes = stream.classes if stream.capacity is None else frozenset({stream.capacity})
                    self._hold(held.asking, stream.region.name, goes_on=stream.asked.is_replay, classes=classes)

    def _hold(self, asking: Asking, region: str, *, goes_on: bool, classes: frozenset[CapacityClass] | None) -> None:
        action = Action.failover if goes_on else Action.process
        trigger = Trigger.failover if goes_on else Trigger.initial
        doings = [
            Doing(action, region, trigger, capacity) for capacity in (ALL_CLASSES if classes is None else classes)
        ]
        if region != asking.here:
            doings.append(Doing(Action.relay, region, trigger))
        for doing in doings:
            if not self._policy.is_permitted(asking, doing, self._at_s):
                self._tally.violations.append(f"placement, seed {self._seed}: at {self._at_s} {doing} of {asking}")
