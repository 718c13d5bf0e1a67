"""One replica in a pool: its link, what is known of it, and how its streams fared."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.interface import RefusalReason
from engines.registry import speaks
from policies.breaker import Breaker, BreakerLimits
from policies.replica_choice import NoReplica, ReplicaFacts
from policies.routing_facts import Health
from policies.tier_slots import TierHeadroom, free_slots_for
from regions.links.engine_report import EngineReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import LoadReport, OpenStream, StreamEvent, StreamOptions
    from policies.plans import Tier
    from policies.routing_facts import CapacityClass
    from policies.tier_classes import ClassRule
    from regions.links.grpc_link import GrpcLink
    from regions.links.interface import EngineStream
    from regions.links.membership import Entry


@dataclass(frozen=True, slots=True)
class RoomRules:
    """How much room one stream finds.

    Attributes:
        tier: whose slots it may take.
        classes: which machines it may be on; None: any.
        class_of_pool: how a pool's machines are paid for; None: nobody knows it by that name.
        permitted: machines that the caller's policy set permits, and one of which nothing is known is none; None: any.
        permitted_behind: the same, where the replica is a relay: it must say that it has room on some of them. One that
            says nothing of classes is too old to read which are meant.
    """

    tier: Tier
    headroom: TierHeadroom
    classes: ClassRule | None
    class_of_pool: Callable[[str], CapacityClass | None]
    permitted: frozenset[CapacityClass] | None = None
    permitted_behind: frozenset[CapacityClass] | None = None


class Member:
    """A replica, its link, and how it fared."""

    def __init__(self, entry: Entry, link: GrpcLink, *, holds_out: bool) -> None:
        self.entry = entry
        self.link = link
        self.address = link.address
        self._breaker = Breaker(BreakerLimits()) if holds_out else None
        self._running: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether its link stands and it does not retire."""
        return self.link.load is not None and not self.entry.is_retiring

    @property
    def takes_streams(self) -> bool:
        """Whether its link stands and nothing says that it goes away."""
        load = self.link.load
        if load is None or self.entry.is_retiring or self.entry.facts.is_draining:
            return False
        return not self.link.is_draining and load.leaves_in_ms == 0

    def report(self) -> EngineReport | None:
        """None: its link does not stand."""
        load = self.link.load
        return None if load is None else EngineReport(self.entry.facts, load, not self.takes_streams)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        self._running = tasks.create_task(self.link.run())

    def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def age_ms(self, now_ms: int) -> int:
        """Since its link answers; 0 where it does not."""
        since_s = self.link.answers_since_s
        return 0 if since_s == math.inf else max(0, now_ms - int(since_s * 1_000))

    def known_class(self, class_of_pool: Callable[[str], CapacityClass | None]) -> CapacityClass | None:
        """As the catalog has its pool, or as the engine itself was told; None, too, where these two differ. What a
        listing says without being asked, or a registration of an engine that was told nothing, does not count.
        """
        facts, load = self.entry.facts, self.link.load
        by_pool = class_of_pool(facts.pool if load is None else load.pool)
        said = None if load is None else load.capacity
        if by_pool is None or said is None:
            return by_pool or said
        return said if said is by_pool else None

    def facts(self, stream: OpenStream, rules: RoomRules, now_ms: int, *, ramp_permille: int) -> ReplicaFacts:
        """Of a member whose link stands. `ramp_permille`: as in ReplicaFacts."""
        load = self.link.load
        assert load is not None
        room = room_for(load, stream.options)
        unfit = NoReplica(room.value) if isinstance(room, RefusalReason) else None
        permitted = rules.permitted
        if unfit is None and permitted is not None and self.known_class(rules.class_of_pool) not in permitted:
            unfit = NoReplica.no_permitted_capacity
        if unfit is None and rules.permitted_behind is not None and not self._has_behind(rules.permitted_behind):
            unfit = NoReplica.no_permitted_capacity
        capacity = rules.class_of_pool(load.pool) or self.entry.facts.capacity
        free_slots = free_slots_for(
            rules.tier, slots_total=load.slots_total, slots_used=load.slots_used, headroom=rules.headroom
        )
        if rules.classes is not None:
            may_take = rules.classes.limit_slots(capacity, load.slots_total) - load.slots_used
            free_slots = min(free_slots, max(0, may_take))
        kept = max(0, load.slots_total - load.slots_used) - free_slots
        return ReplicaFacts(
            name=self.address,
            free_slots=(room if isinstance(room, int) else 0) - kept - self.link.placed_since_report,
            capacity=capacity,
            health=Health.admitting if self._breaker is None else self._breaker.state(now_ms),
            is_draining=self.link.is_draining or self.entry.facts.is_draining,
            has_failed_lately=self.link.has_failed_lately,
            unfit=unfit,
            is_at_risk=load.is_at_risk or load.leaves_in_ms > 0,
            ramp_permille=ramp_permille,
        )

    def _has_behind(self, permitted: frozenset[CapacityClass]) -> bool:
        region = self.link.region
        return region is not None and any(region.free_slots_of_class.get(each.value, 0) > 0 for each in permitted)

    def may_begin(self, now_ms: int) -> bool:
        """False where as many as may try it out are there already. One that is held out is taken for want of others."""
        if self._breaker is None or self._breaker.state(now_ms) is not Health.probing:
            return True
        return self._breaker.begin(now_ms)

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> EngineStream:
        return self.link.open(stream, on_event)

    def went_well(self, *, opened_at_ms: int) -> None:
        if self._breaker is not None:
            self._breaker.succeeded(_now_ms(), placed_at_ms=opened_at_ms)

    def went_wrong(self, *, opened_at_ms: int) -> None:
        if self._breaker is not None:
            self._breaker.failed(_now_ms(), placed_at_ms=opened_at_ms)

    def came_to_nothing(self) -> None:
        if self._breaker is not None:
            self._breaker.turned_away(_now_ms())


def _now_ms() -> int:
    return int(asyncio.get_running_loop().time() * 1_000)


def room_for(load: LoadReport, options: StreamOptions) -> int | RefusalReason:
    """How many more streams with such options a replica takes by its report; a reason where none of its models fits."""
    fitting = [
        model
        for model in load.models
        if options.model in ("", model.name) and options.model_version in ("", model.version)
    ]
    if not fitting:
        return RefusalReason.unknown_model
    speaking = [model for model in fitting if speaks(model.language, options.language)]
    if not speaking:
        return RefusalReason.unsupported_language
    taking = [model for model in speaking if options.model_version or not model.is_leaving]
    return max((model.slots_total - model.slots_used for model in taking), default=0)
