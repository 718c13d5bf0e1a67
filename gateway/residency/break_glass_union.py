"""What an emergency permission adds to a policy set: no more than it covers, and than the rules allow it. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from policies.residency.permitted import Permitted
from policies.residency.vocabulary import Action
from policies.routing_facts import ALL_CLASSES

if TYPE_CHECKING:
    from policies.residency.decision import Situation
    from policies.routing_facts import CapacityClass


class Glass(Protocol):
    """Emergency permissions, as policy asks about them (gateway.operations.glass_book)."""

    def covering(self, situation: Situation, action: str, region: str) -> str:
        """The id of the permission that covers it now; empty: none does."""

    def note_used(self, permission_id: str, *, action: str, region: str, session: str = "", who: str = "") -> None:
        """Somebody acts on what it made possible."""


class NoGlass:
    """Where nobody gives emergency permissions."""

    def covering(self, situation: Situation, action: str, region: str) -> str:
        return ""

    def note_used(self, permission_id: str, *, action: str, region: str, session: str = "", who: str = "") -> None:
        """There is none."""


def with_break_glass(without: Permitted, broken: Permitted, covered: frozenset[tuple[Action, str]]) -> Permitted:
    """Both together.

    Args:
        without: what is permitted anyway.
        broken: what the rules permit where an emergency permission covers everything.
        covered: for what in which region there is one.
    """

    def united(action: Action, regions: frozenset[str], more: frozenset[str]) -> frozenset[str]:
        return regions | {region for region in more if (action, region) in covered}

    process = united(Action.process, without.process, broken.process)
    failover = united(Action.failover, without.failover, broken.failover)
    classes: dict[str, frozenset[CapacityClass]] = {}
    for region in process | failover:
        is_old = region in without.process | without.failover
        is_more = region in (process - without.process) | (failover - without.failover)
        # One set of machines holds for whatever is done there: what is added must be permitted on them too.
        by = ([without] if is_old else []) + ([broken] if is_more else [])
        classes[region] = ALL_CLASSES.intersection(*(each.classes_in(region) for each in by))
    return Permitted(
        united(Action.terminate, without.terminate, broken.terminate),
        process,
        failover,
        united(Action.store_checkpoint, without.checkpoint, broken.checkpoint),
        classes,
    )
