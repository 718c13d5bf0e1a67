"""What the links to one region's engines, or to its relays, say about it when they are read together. Pure.

A region's own engines each speak for themselves: their reports are added. A peer's relays each speak for the whole of
their region: the freshest of those that do not drain is believed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from policies.plans import Tier
from policies.routing_facts import CapacityClass, ModelFacts, RegionState
from policies.tier_classes import DEFAULT_CLASSES
from policies.tier_slots import free_slots_of_tier
from regions.links.interface import EnginePool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engines.interface import LoadReport, ModelLoad
    from policies.tier_classes import TierClasses
    from policies.tier_slots import TierHeadroom
    from regions.discovery.interface import EngineAddress
    from regions.links.heartbeat import RttSample
    from regions.links.region_status import RegionStatus

_PERMILLE = 1_000
_STRICTNESS = (RegionState.active, RegionState.draining, RegionState.disabled)


class RegionLink(Protocol):
    """What is read of a regions.links.grpc_link.GrpcLink."""

    @property
    def address(self) -> str: ...
    @property
    def is_connected(self) -> bool: ...
    @property
    def load(self) -> LoadReport | None: ...
    @property
    def region(self) -> RegionStatus | None: ...
    @property
    def rtt(self) -> RttSample | None: ...
    @property
    def heard_at_s(self) -> float: ...
    @property
    def placed_since_report(self) -> int: ...
    @property
    def open_streams(self) -> int: ...
    @property
    def has_failed_lately(self) -> bool: ...
    @property
    def is_draining(self) -> bool: ...


class RegionPool(EnginePool, Protocol):
    """What is asked of a regions.links.pool.LinkPool, of a region's engines or of its relays."""

    @property
    def links(self) -> Sequence[RegionLink]: ...

    def set_members(self, members: tuple[EngineAddress, ...]) -> None: ...

    def class_of(self, address: str) -> CapacityClass | None:
        """How the engine's machine is paid for; None: nobody knows it, or it is a relay."""

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """What they say. Free slots are less what was placed since. `heard_at_s`: of the loop's clock; -inf: never."""

    is_reachable: bool = False
    heard_at_s: float = -math.inf
    state: RegionState = RegionState.active
    models: tuple[ModelFacts, ...] = ()
    slots_total: int = 0
    free_slots: dict[str, int] = field(default_factory=dict)
    free_slots_of_class: dict[str, int] = field(default_factory=dict)
    placed: int = 0
    live_permille: int = _PERMILLE
    lag_ms: int = 0
    spot_permille: int = 0
    move_gap_ms: int = 0
    is_stopped: bool = False


def stricter(one: RegionState, other: RegionState) -> RegionState:
    """What holds when operators want the one and the region says the other."""
    return max(one, other, key=_STRICTNESS.index)


def healthy(links: Iterable[RegionLink]) -> list[RegionLink]:
    """Those that take streams and gave none up a moment ago."""
    return [link for link in links if link.load is not None and not link.is_draining and not link.has_failed_lately]


def spoken_by_engines(
    links: Sequence[RegionLink],
    headroom: TierHeadroom,
    capacity_of: Callable[[RegionLink], CapacityClass],
    classes: TierClasses = DEFAULT_CLASSES,
    known_class_of: Callable[[RegionLink], CapacityClass | None] = lambda _link: None,
) -> Spoken:
    """Of this region itself. Engines that drain hold streams and take none: they are no capacity.

    Args:
        capacity_of: how an engine's machine is paid for, as far as that is known.
        known_class_of: the same; None where nobody knows it.
    """
    connected = [(link, link.load) for link in links if link.load is not None]
    taking = [(link, load) for link, load in connected if not load.is_draining]
    slots_total = sum(load.slots_total for _, load in taking)
    placed = sum(link.placed_since_report for link, _ in taking)
    slots_used = sum(load.slots_used for _, load in taking) + placed
    spot = sum(load.slots_total for link, load in taking if capacity_of(link) is CapacityClass.spot)
    streams = sum(link.open_streams for link in links)
    # An engine reports only while it recognises, so a link that stands says that its streams get answers. That it gave
    # up one of them lately says nothing of the others.
    silent = sum(link.open_streams for link in links if link.load is None)
    return Spoken(
        is_reachable=bool(connected),
        heard_at_s=max((link.heard_at_s for link, _ in connected), default=-math.inf),
        models=_models(
            (load.models, 0 if load.is_draining else 1, link.placed_since_report) for link, load in connected
        ),
        slots_total=slots_total,
        free_slots=_within_classes(
            free_slots_of_tier(slots_total=slots_total, slots_used=slots_used, headroom=headroom),
            classes,
            [
                (capacity_of(link), load.slots_total, load.slots_used + link.placed_since_report)
                for link, load in taking
            ],
        ),
        free_slots_of_class=_of_classes(
            (known_class_of(link), load.slots_total - load.slots_used - link.placed_since_report)
            for link, load in taking
        ),
        placed=placed,
        live_permille=_PERMILLE - _PERMILLE * silent // streams if streams else _PERMILLE,
        # Of one stream: an engine with many has more audio in hand and is not behind.
        lag_ms=max((load.queued_audio_ms // max(1, load.slots_used) for _, load in connected), default=0),
        spot_permille=_PERMILLE * spot // slots_total if slots_total else 0,
    )


def spoken_by_relays(links: Sequence[RegionLink]) -> Spoken:
    """Of a peer. What was placed over one of its relays the others' reports may not know of: all of it is counted."""
    speaker = max(
        (link for link in links if link.load is not None),
        key=lambda link: (not link.is_draining, link.heard_at_s),
        default=None,
    )
    if speaker is None or speaker.load is None:
        return Spoken()
    load, status = speaker.load, speaker.region
    placed = sum(link.placed_since_report for link in links)
    told = status.free_slots_of_tier if status is not None else {}
    known = {tier.value: told[tier.value] for tier in Tier if tier.value in told}
    free_slots = known or dict.fromkeys((tier.value for tier in Tier), load.slots_total - load.slots_used)
    state = RegionState.draining if load.is_draining else RegionState.active
    return Spoken(
        is_reachable=True,
        heard_at_s=speaker.heard_at_s,
        state=state if status is None else stricter(state, status.state),
        models=_models([(load.models, 1, placed)]),
        slots_total=load.slots_total,
        free_slots={tier: free - placed for tier, free in free_slots.items()},
        free_slots_of_class={
            name: free - placed for name, free in ({} if status is None else status.free_slots_of_class).items()
        },
        placed=placed,
        live_permille=_PERMILLE if status is None else status.live_permille,
        lag_ms=0 if status is None else status.lag_ms,
        spot_permille=0 if status is None else status.spot_permille,
        move_gap_ms=0 if status is None else status.move_gap_ms,
        is_stopped=status is not None and status.is_stopped,
    )


def _of_classes(engines: Iterable[tuple[CapacityClass | None, int]]) -> dict[str, int]:
    """(class, free slots) of each engine together; of one whose class is not known nothing can be said."""
    free_slots: dict[str, int] = {}
    for capacity, free in engines:
        if capacity is not None:
            free_slots[capacity.value] = free_slots.get(capacity.value, 0) + max(0, free)
    return free_slots


def _within_classes(
    free_slots: dict[str, int], classes: TierClasses, engines: Sequence[tuple[CapacityClass, int, int]]
) -> dict[str, int]:
    """Less what a tier's new sessions may not have: (class, slots, taken) of each engine."""
    for tier in Tier:
        rule = classes.of(tier)
        if not rule.is_free:
            may_take = sum(max(0, rule.limit_slots(capacity, total) - used) for capacity, total, used in engines)
            free_slots[tier.value] = min(free_slots[tier.value], may_take)
    return free_slots


def _models(reports: Iterable[tuple[tuple[ModelLoad, ...], int, int]]) -> tuple[ModelFacts, ...]:
    """The same version on several engines is one: (models, 1 or 0 for one that drains, placed since) of each."""
    found: dict[tuple[str, str, str], ModelFacts] = {}
    for models, counts, placed in reports:
        for model in models:
            key = (model.name, model.version, model.language)
            known = found.get(key)
            slots_total = model.slots_total * counts
            slots_free = (model.slots_total - model.slots_used - placed) * counts
            is_leaving = model.is_leaving
            if known is not None:
                slots_total += known.slots_total
                slots_free += known.slots_free
                is_leaving = is_leaving and known.is_leaving
            found[key] = ModelFacts(*key, slots_total, slots_free, is_leaving)
    return tuple(found.values())
