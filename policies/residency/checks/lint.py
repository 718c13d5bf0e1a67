"""What a valid bundle may still have wrong: rules, rows, reach, and scenario tables that leave things out. PURE.

What makes a bundle invalid is not here: `read_bundle` refuses it (date arithmetic, double ids, missing annotations,
misspelt words, overlapping rows).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.residency.checks.coverage import coverage
from policies.residency.checks.lint_finding import Finding, Severity
from policies.residency.checks.lint_reach import lint_reach
from policies.residency.checks.lint_rows import lint_rows
from policies.residency.checks.lint_rules import lint_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.checks.scenarios import Outcome

_ORDER = (Severity.error, Severity.warning, Severity.note)


def lint(bundle: Bundle, *, now_s: int, outcomes: Sequence[Outcome] | None = None) -> list[Finding]:
    """Every finding, the gravest first.

    Args:
        outcomes: of the bundle's scenario tables; None: they were not asked, and nothing is said of them.
    """
    found = [
        *lint_rules(bundle, now_s=now_s),
        *lint_rows(bundle, now_s=now_s),
        *lint_reach(bundle, now_s=now_s),
        *(() if outcomes is None else _tables(bundle, outcomes)),
    ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


def _tables(bundle: Bundle, outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    failed = [outcome for outcome in outcomes if not outcome.is_as_expected]
    if failed:
        first = failed[0]
        yield Finding(
            Severity.error, "scenario-fails", first.check.place,
            f"{len(failed)} of {len(outcomes)} checks do not come out as expected; the first: {first.problem}.",
            "`patchbay policy test` lists them. Mend the rule, or the table if it is out of date.",
        )  # fmt: skip
    covered = coverage(bundle, outcomes)
    if covered.rules_not_hit:
        yield Finding(
            Severity.warning, "rules-not-tested", "scenarios/",
            f"No scenario is decided by {', '.join(covered.rules_not_hit)}: nobody would notice if they were gone.",
            "Add a scenario for each.",
        )  # fmt: skip
