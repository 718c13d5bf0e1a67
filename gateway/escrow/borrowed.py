"""Plans as a region sees them whose compute is borrowed, and the rate of a level by the book of plans. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from policies.plans import Level, Rate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.escrow import HoldingRules
    from policies.plans import CallerPlan, LevelLimits


def borrowed_plan(plan: CallerPlan, holding: HoldingRules) -> CallerPlan:
    """The same plan with buckets that gain nothing by time and hold at most what a region may."""
    return replace(
        plan,
        key=_borrowed(plan.key, holding),
        project=_borrowed(plan.project, holding),
        org=_borrowed(plan.org, holding),
    )


def borrowed_levels(plan: CallerPlan) -> Iterator[tuple[Level, Rate]]:
    """The levels at which the caller's compute is limited, with the rate that the root has."""
    who = plan.principal
    for level, name in ((Level.key, who.key), (Level.project, who.project), (Level.org, who.org)):
        compute = plan.of(level).compute
        if name and compute is not None:
            yield level, compute


def _borrowed(limits: LevelLimits, holding: HoldingRules) -> LevelLimits:
    if limits.compute is None:
        return limits
    return replace(limits, compute=Rate(per_s=0, burst=holding.holding_us(limits.compute)))
