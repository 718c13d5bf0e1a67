"""What scenario tables leave out: rules that decided nothing; regions, profiles, projects nobody asks of. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.checks.scenarios import Outcome


@dataclass(frozen=True, slots=True)
class Coverage:
    """Sorted names. `checks_by_rule`: how many checks each rule of the bundle decided."""

    checks_by_rule: dict[str, int]
    rules_not_hit: tuple[str, ...]
    regions_not_asked: tuple[str, ...]
    profiles_not_asked: tuple[str, ...]
    projects_not_asked: tuple[str, ...]


def coverage(bundle: Bundle, outcomes: Iterable[Outcome]) -> Coverage:
    """A rule is hit by a check that comes out as expected and that it decided, alone or with others."""
    hits = dict.fromkeys(sorted(bundle.rules), 0)
    regions, profiles, projects = set(), set(), set()
    for outcome in outcomes:
        question = outcome.check.question
        if question is None:
            continue
        regions.add(question.region)
        profiles.add(question.situation.profile)
        projects.add(question.situation.project)
        if outcome.is_as_expected:
            for rule in outcome.decision.rules:
                hits[rule] = hits.get(rule, 0) + 1
    return Coverage(
        checks_by_rule=hits,
        rules_not_hit=tuple(name for name, count in hits.items() if not count),
        regions_not_asked=tuple(sorted({row.region for row in bundle.regions} - regions)),
        profiles_not_asked=tuple(sorted(set(bundle.profiles) - profiles)),
        projects_not_asked=tuple(sorted(set(bundle.projects) - projects)),
    )
