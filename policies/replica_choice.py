"""Which replica of a region a stream is opened on. A pure rule: told the facts and the dice.

Load reports are old when they are read, so free slots are less what was placed since. One dispatcher then does best
with the replica that has the most room. Of several, each knows only its own placements, and all would run to the same
replica: they draw two in proportion to their room and take the roomier (power of two choices, M. Mitzenmacher).
tests/benchmarks/herding.py measures both. The engine grants the slot, so a wrong choice costs a retry, never an
overload.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from policies.breaker import held_out
from policies.drawing import drawn_by_weight, unit_draw
from policies.plans import Tier
from policies.routing_facts import CapacityClass, Health
from policies.slow_start import WHOLE_PERMILLE
from policies.tier_classes import DEFAULT_CLASSES, TierClasses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.tier_classes import ClassRule

_CHOICES = 2


class NoReplica(StrEnum):
    """Why none is chosen. Of several reasons the one nearest to a grant is told: the last of these that holds."""

    none_connected = "none_connected"
    unknown_model = "unknown_model"
    unsupported_language = "unsupported_language"
    no_permitted_capacity = "no_permitted_capacity"
    """None on a machine of a class that the caller's policy set permits."""
    draining = "draining"
    tripped = "tripped"
    """Room is there, on replicas that are held out for a while."""
    no_free_slot = "no_free_slot"


@dataclass(frozen=True, slots=True)
class ReplicaFacts:
    """One connected replica, seen with one stream's wishes.

    Attributes:
        name: unique in the region.
        free_slots: for this stream's model and tier, by the last report, less what was placed since; may be below zero.
        unfit: why it can never take this stream: `unknown_model`, `unsupported_language` or `no_permitted_capacity`.
        has_failed_lately: it failed a stream a moment ago.
        is_at_risk: its machine may go away soon.
        ramp_permille: the share of its room that it offers while it is new (policies.slow_start).
    """

    name: str
    free_slots: int
    capacity: CapacityClass = CapacityClass.reserved
    health: Health = Health.admitting
    is_draining: bool = False
    has_failed_lately: bool = False
    unfit: NoReplica | None = None
    is_at_risk: bool = False
    ramp_permille: int = WHOLE_PERMILLE

    @property
    def offered_slots(self) -> int:
        """What its room counts for beside that of others; of one that has room, at least one."""
        if self.ramp_permille == WHOLE_PERMILLE:
            return self.free_slots
        return max(1, self.free_slots * self.ramp_permille // WHOLE_PERMILLE)


@dataclass(frozen=True, slots=True)
class ReplicaRequest:
    """What is to be opened.

    Attributes:
        draw: any number that is not negative, drawn for each try; from 0 to 2**32 - 1, say.
        avoided: replicas on which this session lost a stream a moment ago; taken only when nothing else has room.
        dispatchers: how many place on these replicas at once, this one included.
        classes: which machines each tier should have.
    """

    tier: Tier
    draw: int
    avoided: frozenset[str] = frozenset()
    dispatchers: int = 1
    classes: TierClasses = DEFAULT_CLASSES


def choose_replica(
    request: ReplicaRequest, replicas: Sequence[ReplicaFacts], *, max_held_out_permille: int = 500
) -> str | NoReplica:
    """Give the name of the replica to ask for a slot.

    Among those with room, what speaks against one weighs in this order: held out for failing, lost by this session,
    failed a moment ago, still on probation (premium does not try those first), about to go away, a capacity class that
    stands later in the tier's order. Room decides among equals.

    Args:
        max_held_out_permille: of the replicas that could take it, at most so many are held out for failing.
    """
    if not replicas:
        return NoReplica.none_connected
    fit = [replica for replica in replicas if replica.unfit is None]
    if not fit:
        return _nearest([replica.unfit for replica in replicas if replica.unfit is not None])
    taking = [replica for replica in fit if not replica.is_draining]
    if not taking:
        return NoReplica.draining
    tripped = sorted(
        (replica for replica in taking if replica.health is Health.tripped),
        key=lambda replica: (replica.free_slots, replica.name),
    )
    out = held_out([replica.name for replica in tripped], among=len(taking), max_permille=max_held_out_permille)
    roomy = [replica for replica in taking if replica.free_slots > 0]
    open_ = [replica for replica in roomy if replica.name not in out]
    if not open_:
        return NoReplica.tripped if roomy else NoReplica.no_free_slot
    rule = request.classes.of(request.tier)
    objections = [_objections(replica, request, rule) for replica in open_]
    least = min(objections)
    return _roomiest([replica for replica, its in zip(open_, objections, strict=True) if its == least], request).name


def _objections(replica: ReplicaFacts, request: ReplicaRequest, rule: ClassRule) -> tuple[int, ...]:
    return (
        replica.health is Health.tripped,
        replica.name in request.avoided,
        replica.has_failed_lately,
        replica.health is Health.probing and request.tier is Tier.premium,
        replica.is_at_risk,
        rule.rank(replica.capacity),
    )


def _roomiest(replicas: Sequence[ReplicaFacts], request: ReplicaRequest) -> ReplicaFacts:
    """The one with the most room, of all or of two drawn by their room; equals by the draw."""
    if request.dispatchers > 1:
        rooms = [replica.offered_slots for replica in replicas]
        replicas = [replicas[drawn_by_weight(rooms, request.draw, salt=salt)] for salt in range(_CHOICES)]
    first = int(unit_draw(request.draw, _CHOICES) * len(replicas))
    in_turn = (*replicas[first:], *replicas[:first])
    return max(in_turn, key=lambda replica: replica.offered_slots)


def _nearest(reasons: Sequence[NoReplica]) -> NoReplica:
    order = list(NoReplica)
    return max(reasons, key=order.index)
