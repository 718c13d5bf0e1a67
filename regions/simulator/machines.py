"""The engines of one region: what they have room for, who is on them, what the region tells its peers of them.

These must stay true:
  - An engine never has more streams than slots, nor fewer than none: it grants a stream only by policies.tier_slots.
  - Which engine is asked is decided by policies.replica_choice, over each single engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.replica_choice import NoReplica, ReplicaFacts, ReplicaRequest, choose_replica
from policies.routing_facts import CapacityClass, ModelFacts
from policies.slow_start import SlowStartLimits, ramps
from policies.tier_slots import free_slots_for, free_slots_of_tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.plans import Tier
    from policies.tier_slots import TierHeadroom
    from regions.simulator.session import Session

MODEL = "speech"
_PERMILLE = 1_000
_SLOW_START = SlowStartLimits()


class Paid(StrEnum):
    """How a machine is paid for."""

    reserved = "reserved"
    on_demand = "on_demand"
    spot = "spot"


@dataclass(slots=True, eq=False)
class Engine:
    """One machine.

    Attributes:
        order: of its start in its region; names it.
        zone: number of its zone.
        is_leaving: it takes nothing new: it was told to go.
        is_gone: it is dead, or was given back.
        is_dark: dead, and nobody was told; it is asked until that is found out.
    """

    order: int
    paid: Paid
    zone: int
    slots: int
    started_at_ms: int
    ready_at_ms: int = -1
    """-1: it still starts."""
    is_leaving: bool = False
    is_gone: bool = False
    is_dark: bool = False
    sessions: dict[Session, None] = field(default_factory=dict)
    facts: dict[Tier, ReplicaFacts] = field(default_factory=dict)
    """As last made; emptied when it changes."""

    @property
    def is_ready(self) -> bool:
        return self.ready_at_ms >= 0

    @property
    def used(self) -> int:
        return len(self.sessions)

    @property
    def capacity(self) -> CapacityClass:
        return CapacityClass.spot if self.paid is Paid.spot else CapacityClass.reserved

    def facts_for(self, tier: Tier, headroom: TierHeadroom) -> ReplicaFacts:
        """For a stream of this tier, but for the ramp of a new engine."""
        known = self.facts.get(tier)
        if known is None:
            free = free_slots_for(tier, slots_total=self.slots, slots_used=self.used, headroom=headroom)
            known = ReplicaFacts(str(self.order), free, self.capacity, is_draining=self.is_leaving)
            self.facts[tier] = known
        return known


@dataclass(frozen=True, slots=True)
class Told:
    """What a region's last report says. `version` differs where the rest does."""

    version: int
    at_ms: int
    slots_total: int
    free_slots_of_tier: dict[str, int]
    models: tuple[ModelFacts, ...]
    spot_permille: int
    cost_permille: int

    def free_slots_less(self, placed: int) -> dict[str, int]:
        """When so many were placed since."""
        if not placed:
            return self.free_slots_of_tier
        return {tier: max(0, free - placed) for tier, free in self.free_slots_of_tier.items()}

    def models_less(self, placed: int) -> tuple[ModelFacts, ...]:
        if not placed:
            return self.models
        return tuple(replace(model, slots_free=model.slots_free - placed) for model in self.models)


class MachineRoom:
    """Of one region. Reports are made at whole multiples of `report_every_ms`: others see what was true then."""

    def __init__(
        self, headroom: TierHeadroom, *, report_every_ms: int, price_permille: Mapping[Paid, int], dispatchers: int = 1
    ) -> None:
        self._headroom = headroom
        self._report_every_ms = report_every_ms
        self._price_permille = price_permille
        self._dispatchers = dispatchers
        self._started = 0
        self._version = 0
        self._is_changed = False
        self._newest_until_ms = 0
        self.engines: dict[int, Engine] = {}
        """All that are not gone, by their order."""
        self._taking: dict[int, Engine] = {}
        """Those that are ready and do not leave; dark ones until they are found out."""
        self._slots = dict.fromkeys(Paid, 0)
        self._used = 0
        """Of those that take streams."""
        self._free_slots: dict[tuple[int, int], dict[str, int]] = {}
        self._told = self._report(0)
        self._live = self._told
        self._is_live_old = True
        self._is_mix_changed = False
        self.least_spot_permille = 0
        self.least_cost_permille = 0
        """What is in the last report and what is true now: of both the least."""

    # --- machines come and go ---------------------------------------------------------------------------

    def start(self, paid: Paid, zone: int, slots: int, *, now_ms: int) -> Engine:
        self._started += 1
        engine = Engine(self._started, paid, zone, slots, now_ms)
        self.engines[engine.order] = engine
        return engine

    def ready(self, engine: Engine, now_ms: int) -> None:
        self.look(now_ms)
        engine.ready_at_ms = now_ms
        self._newest_until_ms = now_ms + _SLOW_START.window_ms
        self._take_in(engine)

    def leave(self, engine: Engine, now_ms: int) -> None:
        """It takes nothing new; what is on it may stay until it is gone."""
        self.look(now_ms)
        engine.is_leaving = True
        self._take_out(engine)

    def remove(self, engine: Engine, now_ms: int, *, is_dark: bool = False) -> list[Session]:
        """It is gone. Gives who was on it. A dark one goes on being asked until `found_dark`."""
        self.look(now_ms)
        engine.is_gone, engine.is_dark = True, is_dark
        del self.engines[engine.order]
        lost = list(engine.sessions)
        if not is_dark:
            self._take_out(engine)
        elif engine.order in self._taking:
            self._used -= len(lost)
        engine.sessions.clear()
        engine.facts.clear()
        self._is_changed = self._is_live_old = True
        return lost

    def found_dark(self, engine: Engine, now_ms: int) -> None:
        self.look(now_ms)
        self._take_out(engine)

    # --- streams ----------------------------------------------------------------------------------------

    def choose(self, tier: Tier, draw: int, now_ms: int, *, avoided: frozenset[str] = frozenset()) -> Engine | None:
        """The engine that is asked for a slot; None: none has room."""
        headroom = self._headroom
        replicas = [engine.facts_for(tier, headroom) for engine in self._taking.values()]
        if now_ms < self._newest_until_ms:
            of_new = ramps([now_ms - engine.ready_at_ms for engine in self._taking.values()], _SLOW_START)
            replicas = [replace(its, ramp_permille=ramp) for its, ramp in zip(replicas, of_new, strict=True)]
        chosen = choose_replica(ReplicaRequest(tier, draw, avoided, self._dispatchers), replicas)
        return None if isinstance(chosen, NoReplica) else self._taking[int(chosen)]

    def open(self, session: Session, engine: Engine, now_ms: int) -> None:
        """Grant a slot. Raises ValueError where there is none: a defect of the simulator."""
        if len(engine.sessions) >= engine.slots or engine.order not in self._taking:
            raise ValueError(f"engine {engine.order} has no slot")
        self.look(now_ms)
        engine.sessions[session] = None
        engine.facts.clear()
        self._used += 1
        self._is_changed = self._is_live_old = True

    def close(self, session: Session, engine: Engine, now_ms: int) -> None:
        self.look(now_ms)
        del engine.sessions[session]
        engine.facts.clear()
        self._used -= engine.order in self._taking
        self._is_changed = self._is_live_old = True

    # --- what is known of it ----------------------------------------------------------------------------

    def look(self, now_ms: int) -> Told:
        """The last report. Called before anything changes, so that a report says what was true when it was due."""
        due_ms = now_ms - now_ms % self._report_every_ms
        if self._is_changed and due_ms > self._told.at_ms:
            self._told = self._report(due_ms)
            self._is_changed = False
            if self._is_mix_changed:
                self._note_mix()
                self._is_mix_changed = False
        return self._told

    def look_from_within(self, now_ms: int) -> Told:
        """What the region's own gateways know: everything, at once."""
        self.look(now_ms)
        if self._is_live_old:
            self._live = self._report(now_ms)
            self._is_live_old = False
        return self._live

    @property
    def slots_by_class(self) -> Mapping[Paid, int]:
        """Of engines that take streams."""
        return self._slots

    @property
    def slots_free(self) -> int:
        return sum(self._slots.values()) - self._used

    @property
    def slots_used(self) -> int:
        """Of engines that take streams."""
        return self._used

    def _take_in(self, engine: Engine) -> None:
        self._taking[engine.order] = engine
        self._slots[engine.paid] += engine.slots
        self._used += len(engine.sessions)
        engine.facts.clear()
        self._is_changed = self._is_live_old = True
        self._note_mix()

    def _take_out(self, engine: Engine) -> None:
        if self._taking.pop(engine.order, None) is not None:
            self._slots[engine.paid] -= engine.slots
            self._used -= len(engine.sessions)
        engine.facts.clear()
        self._is_changed = self._is_live_old = True
        self._note_mix()

    def _note_mix(self) -> None:
        self._is_mix_changed = True
        self.least_spot_permille = min(self._told.spot_permille, self._spot_permille)
        self.least_cost_permille = min(self._told.cost_permille, self._cost_permille)

    @property
    def _spot_permille(self) -> int:
        total = sum(self._slots.values())
        return _PERMILLE * self._slots[Paid.spot] // total if total else 0

    @property
    def _cost_permille(self) -> int:
        """Of those that take streams, the mean price."""
        total = sum(self._slots.values())
        price = sum(slots * self._price_permille[paid] for paid, slots in self._slots.items())
        return price // total if total else _PERMILLE

    def _free_slots_of_tier(self, total: int, used: int) -> dict[str, int]:
        """By the rule, which gives the same every time."""
        known = self._free_slots.get((total, used))
        if known is None:
            known = free_slots_of_tier(slots_total=total, slots_used=used, headroom=self._headroom)
            self._free_slots[total, used] = known
        return known

    def _report(self, at_ms: int) -> Told:
        self._version += 1
        total = sum(self._slots.values())
        return Told(
            self._version,
            at_ms,
            total,
            self._free_slots_of_tier(total, self._used),
            (ModelFacts(MODEL, "1", "", total, total - self._used),),
            self._spot_permille,
            self._cost_permille,
        )
