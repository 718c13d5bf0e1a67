"""Where the sessions of a region, a pool or an engine would go if it were emptied now. Pure.

The rule that places sessions (policies.routing) is asked for each of them, the highest tier first, and every place that
is given away is missing for the next. So the plan is what would happen if nothing else did meanwhile; callers who come
and go are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.plans import Tier
from policies.routing import decide, fits, free_slots
from policies.routing_facts import Candidate, RegionSnapshot, RouteRequest
from policies.tier_slots import slots_tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from policies.routing import RoutingWeights
    from policies.routing_facts import CapacityClass, ModelFacts, RegionFacts, RouteDecision, RuledOut

_PERMILLE = 1_000
_DECISIONS_OF_GROUP = 50
"""Sessions of a group are decided in about so many lots, each with a draw of its own."""
_DRAW_STEP = 618
"""Coprime to 1000, so that the draws of lots that follow each other lie far apart."""
_SERVED_FIRST = (Tier.premium, Tier.standard, Tier.economy)


@dataclass(frozen=True, slots=True)
class SessionGroup:
    """Live sessions that placement cannot tell apart.

    Attributes:
        permitted: regions that they may go on in.
        region: where they are now.
        classes: machines that they may be on, by region, as far as not all are permitted.
    """

    permitted: frozenset[str]
    tier: Tier
    model: str
    model_version: str
    language: str
    region: str
    count: int
    classes: tuple[tuple[str, frozenset[CapacityClass]], ...] = ()


@dataclass(frozen=True, slots=True)
class DrainRow:
    """So many sessions of a group go there. `why`: how the first was scored; `was_kept`: hysteresis kept it there."""

    group: SessionGroup
    to_region: str
    count: int
    why: Candidate
    was_kept: bool


@dataclass(frozen=True, slots=True)
class Shortfall:
    """So many sessions of a group find no slot. `ruled_out`: why each region of their policy set is none."""

    group: SessionGroup
    count: int
    ruled_out: Mapping[str, RuledOut]


@dataclass(frozen=True, slots=True)
class PolicySetRoom:
    """Whether the regions of one policy set have room for its sessions.

    `slots_free`: for sessions like these, before the first was placed. Sets that overlap share their slots, so a set
    may be short of them although it seems to have enough.
    """

    permitted: frozenset[str]
    slots_needed: int
    slots_free: int
    slots_short: int

    @property
    def suffices(self) -> bool:
        return self.slots_short == 0


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """Every session is in one row or one shortfall."""

    rows: tuple[DrainRow, ...]
    shortfalls: tuple[Shortfall, ...]
    sets: tuple[PolicySetRoom, ...]

    @property
    def sessions(self) -> int:
        return sum(row.count for row in self.rows) + self.sessions_short

    @property
    def sessions_short(self) -> int:
        return sum(shortfall.count for shortfall in self.shortfalls)


def plan_drain(groups: Sequence[SessionGroup], after: RegionSnapshot, weights: RoutingWeights) -> DrainPlan:
    """Place them all, one lot after the other.

    Args:
        groups: the sessions that would have to move.
        after: the regions as they are once the order is in force: a region that is emptied drains, one that loses a
            pool or an engine has so many slots less.
    """
    world = _World(after)
    ordered = sorted(groups, key=lambda group: (_SERVED_FIRST.index(group.tier), sorted(group.permitted)))
    moves = [_Moving(group, group.count) for group in ordered if group.count > 0]
    for tier in _SERVED_FIRST:
        # Lot by lot in turn, as they would come: none of them waits until another group is through.
        going = [moving for moving in moves if moving.group.tier is tier]
        while going:
            for moving in going:
                moving.place_a_lot(world, weights)
            going = [moving for moving in going if not moving.is_through]
    rows = tuple(row for moving in moves for row in moving.rows.values())
    shortfalls = tuple(moving.shortfall for moving in moves if moving.shortfall is not None)
    return DrainPlan(rows, shortfalls, tuple(_rooms(groups, after, weights, shortfalls)))


class _World:
    """The regions while places are given away."""

    def __init__(self, snapshot: RegionSnapshot) -> None:
        self._taken_at_ms = snapshot.taken_at_ms
        self._regions = {region.name: region for region in snapshot.regions}

    def snapshot(self) -> RegionSnapshot:
        return RegionSnapshot(self._taken_at_ms, tuple(self._regions.values()))

    def take(self, name: str, request: RouteRequest, count: int) -> None:
        region = self._regions[name]
        self._regions[name] = replace(
            region,
            models=_less(region.models, request, count),
            free_slots_of_tier={tier: free - count for tier, free in region.free_slots_of_tier.items()},
            # Which machines they get the region decides: the slots are missing for each class.
            free_slots_of_class={name: free - count for name, free in region.free_slots_of_class.items()},
        )


class _Moving:
    """One group on its way."""

    def __init__(self, group: SessionGroup, left: int) -> None:
        self.group = group
        self.rows: dict[str, DrainRow] = {}
        self.shortfall: Shortfall | None = None
        self._left = left
        self._lot = max(1, left // _DECISIONS_OF_GROUP)
        self._turn = 0

    @property
    def is_through(self) -> bool:
        return self._left == 0 or self.shortfall is not None

    def place_a_lot(self, world: _World, weights: RoutingWeights) -> None:
        request = _request(self.group, draw_permille=self._turn * _DRAW_STEP % _PERMILLE)
        decision = decide(request, world.snapshot(), weights)
        if not decision.candidates:
            self.shortfall = Shortfall(self.group, self._left, _of_the_set(self.group, decision))
            return
        chosen = decision.candidates[0]
        count = min(self._lot, self._left, chosen.free_slots)
        fresh = DrainRow(self.group, chosen.region, 0, chosen, decision.kept_current)
        row = self.rows.get(chosen.region, fresh)
        self.rows[chosen.region] = replace(row, count=row.count + count)
        world.take(chosen.region, request, count)
        self._left -= count
        self._turn += 1


def _request(group: SessionGroup, *, draw_permille: int = 0) -> RouteRequest:
    return RouteRequest(
        permitted=group.permitted,
        tier=slots_tier(group.tier, is_replay=True),
        model=group.model,
        model_version=group.model_version,
        language=group.language,
        current=group.region,
        draw_permille=draw_permille,
        classes=dict(group.classes),
    )


def _of_the_set(group: SessionGroup, decision: RouteDecision) -> dict[str, RuledOut]:
    return {name: reason for name, reason in decision.ruled_out.items() if name in group.permitted}


def _rooms(
    groups: Sequence[SessionGroup], after: RegionSnapshot, weights: RoutingWeights, shortfalls: Sequence[Shortfall]
) -> Iterable[PolicySetRoom]:
    facts = {region.name: region for region in after.regions}
    for permitted in sorted({group.permitted for group in groups}, key=sorted):
        members = [group for group in groups if group.permitted == permitted]
        room: dict[str, int] = {}
        for request in {_request(group) for group in members}:
            for candidate in decide(request, after, weights).candidates:
                free = free_slots(facts[candidate.region], request)
                room[candidate.region] = max(room.get(candidate.region, 0), free)
        yield PolicySetRoom(
            permitted=permitted,
            slots_needed=sum(group.count for group in members),
            slots_free=sum(room.values()),
            slots_short=sum(shortfall.count for shortfall in shortfalls if shortfall.group.permitted == permitted),
        )


def _less(models: tuple[ModelFacts, ...], request: RouteRequest, count: int) -> tuple[ModelFacts, ...]:
    """Take the slots of the models that fit, the one with the most first."""
    left = list(models)
    order = sorted(
        (index for index, model in enumerate(models) if fits(model, request)),
        key=lambda index: -models[index].slots_free,
    )
    for index in order:
        taken = min(count, max(0, left[index].slots_free))
        left[index] = replace(left[index], slots_free=left[index].slots_free - taken)
        count -= taken
    return tuple(left)


def without_engines(region: RegionFacts, engines: Iterable[tuple[tuple[ModelFacts, ...], int, int]]) -> RegionFacts:
    """Give what remains of a region when some of its engines are emptied.

    Args:
        engines: of each one that goes its models, all its slots and those of them that are free.
    """
    models = {(model.name, model.version, model.language): model for model in region.models}
    slots_total, tiers, classes = region.slots_total, dict(region.free_slots_of_tier), dict(region.free_slots_of_class)
    for its_models, its_slots, its_free in engines:
        slots_total -= its_slots
        tiers = {tier: free - its_free for tier, free in tiers.items()}
        classes = {name: free - its_free for name, free in classes.items()}  # rather too few than too many
        for model in its_models:
            key = (model.name, model.version, model.language)
            known = models.get(key)
            if known is not None:
                models[key] = replace(
                    known,
                    slots_total=known.slots_total - model.slots_total,
                    slots_free=known.slots_free - model.slots_free,
                )
    return replace(
        region,
        models=tuple(models.values()),
        slots_total=max(0, slots_total),
        free_slots_of_tier=tiers,
        free_slots_of_class=classes,
    )
