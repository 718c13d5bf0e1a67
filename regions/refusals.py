"""What a session is told when no region takes it: of all reasons the one nearest to a grant. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import RefusalReason, Refused
from policies.routing_facts import RuledOut

if TYPE_CHECKING:
    from policies.routing_facts import RouteDecision

_NEAREST_FIRST = (
    RefusalReason.bad_options,
    RefusalReason.no_free_slot,
    RefusalReason.paced,
    RefusalReason.draining,
    RefusalReason.unreachable,
    RefusalReason.unsupported_language,
    RefusalReason.unknown_model,
    RefusalReason.no_permitted_region,
    RefusalReason.not_permitted,
)
"""What is over soon stands before what is not: while a region is out of sight, nobody knows that it lacks a model."""
_FOR_GOOD = frozenset({RefusalReason.unknown_model, RefusalReason.unsupported_language, RefusalReason.bad_options})

_OF_RULED_OUT = {
    RuledOut.outside_policy: RefusalReason.no_permitted_region,
    RuledOut.not_in_catalog: RefusalReason.no_permitted_region,
    RuledOut.no_engines: RefusalReason.no_permitted_region,
    RuledOut.disabled: RefusalReason.no_permitted_region,
    RuledOut.draining: RefusalReason.draining,
    RuledOut.unreachable: RefusalReason.unreachable,
    RuledOut.stale_facts: RefusalReason.unreachable,
    RuledOut.tripped: RefusalReason.unreachable,
    RuledOut.failed_this_session: RefusalReason.unreachable,
    RuledOut.unknown_model: RefusalReason.unknown_model,
    RuledOut.unsupported_language: RefusalReason.unsupported_language,
    RuledOut.no_permitted_capacity: RefusalReason.no_free_slot,
    RuledOut.no_free_slot: RefusalReason.no_free_slot,
}


def nearer(one: Refused, other: Refused) -> Refused:
    """Of two answers the one that says more; the first of equals."""
    return min(one, other, key=lambda refused: _NEAREST_FIRST.index(refused.reason))


def refusal_of(decision: RouteDecision, epoch: int, *, retry_after_ms: int) -> Refused:
    """Where no region can be asked at all."""
    reasons = {_OF_RULED_OUT[ruled_out] for ruled_out in decision.ruled_out.values()}
    reason = min(reasons, key=_NEAREST_FIRST.index, default=RefusalReason.no_permitted_region)
    return Refused(epoch, reason, None if reason in _FOR_GOOD else retry_after_ms)
