"""Scenario tables asked of a bundle: what it decides, beside what its authors expect. PURE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from policies.residency.deciding.engine import ResidencyEngine
from policies.residency.decision import Decision
from policies.residency.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.checks.scenario_file import Check, Scenario


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided of a check. `problem`: how it differs from what is expected; empty: it does not."""

    check: Check
    decision: Decision
    problem: str = ""

    @property
    def is_as_expected(self) -> bool:
        return not self.problem


def run_scenarios(bundle: Bundle, scenarios: Iterable[Scenario]) -> Iterator[Outcome]:
    """Ask them one by one, in their order. Engines are made once for each time in which decisions stay the same.

    Tables outlive versions of a bundle, so it is asked as if it had been issued long ago. Its expiry holds.
    """
    bundle = replace(bundle, issued_at_s=0)
    engines: list[ResidencyEngine] = []
    for scenario in scenarios:
        for check in scenario.checks:
            decision = _decided(bundle, check, engines)
            yield Outcome(check, decision, _problem(check, decision))


def _decided(bundle: Bundle, check: Check, engines: list[ResidencyEngine]) -> Decision:
    if check.question is None:
        return Decision(Verdict.deny, errors=(check.conflict,))
    engine = next((engine for engine in engines if engine.holds_at(check.at_s)), None)
    if engine is None:
        engine = ResidencyEngine(bundle, check.at_s)
        engines.append(engine)
    return engine.decide(check.question)


def _problem(check: Check, decision: Decision) -> str:
    expected, got = ("allow", "deny") if check.is_allowed else ("deny", "allow")
    if decision.is_allowed is not check.is_allowed:
        why = f" by {_names(decision.rules)}" if not decision.errors else f": {'; '.join(decision.errors)}"
        return f"expected {expected}, got {got}{why}"
    if decision.errors and not check.error:
        return f"denied, but because something is wrong: {'; '.join(decision.errors)}"
    if check.error and not any(check.error.casefold() in error.casefold() for error in decision.errors):
        said = "; ".join(decision.errors) or "nothing went wrong"
        return f"expected the error {check.error!r}, got: {said}"
    if check.rules is not None and check.rules != frozenset(decision.rules):
        return f"{expected}, as expected, but by {_names(decision.rules)} instead of {_names(check.rules)}"
    return ""


def _names(rules: Iterable[str]) -> str:
    return ", ".join(sorted(rules)) or "no rule"
