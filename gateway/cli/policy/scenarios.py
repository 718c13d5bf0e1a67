"""`patchbay policy test`: the scenario tables of a bundle, asked of its rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in
from gateway.cli.policy.document import Document, Heading, Paragraph, Table, show
from gateway.cli.policy.validate import AsJson, BundleFolder, scenarios_of
from policies.residency.bundles.instants import text_of
from policies.residency.checks.coverage import coverage
from policies.residency.checks.scenarios import run_scenarios

if TYPE_CHECKING:
    from policies.residency.checks.coverage import Coverage
    from policies.residency.checks.scenarios import Outcome


def ask_tables(
    folder: BundleFolder,
    only: Annotated[str, typer.Option(help="Only scenarios with this text in their name or file.")] = "",
    list_all: Annotated[bool, typer.Option("--all", help="List every scenario, not only those that fail.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A rule that no scenario decides is a failure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask each scenario, and tell where the decision or the rule is another than expected; exit 1 if one is."""
    bundle = bundle_in(folder, as_json=as_json)
    scenarios = scenarios_of(bundle, folder, as_json=as_json)
    chosen = [scenario for scenario in scenarios if only.casefold() in f"{scenario.file} {scenario.name}".casefold()]
    outcomes = list(run_scenarios(bundle, chosen))
    covered = coverage(bundle, outcomes)
    failed = [outcome for outcome in outcomes if not outcome.is_as_expected]
    if as_json:
        print(
            json.dumps(
                {
                    "bundle": str(folder),
                    "version": bundle.version,
                    "digest": bundle.digest,
                    "scenarios": len(chosen),
                    "checks": len(outcomes),
                    "failed": len(failed),
                    "outcomes": [_plain(outcome) for outcome in outcomes],
                    "coverage": None if only else _plain_coverage(covered),
                }
            )
        )
    else:
        about = f"{bundle.name} {bundle.version}, digest {bundle.digest}"
        blocks = [
            *(_all(outcomes) if list_all else ()),
            *_failed(failed),
            *(() if only else _not_covered(covered)),
            Paragraph(
                f"{len(chosen)} scenarios, {len(outcomes)} checks: "
                + (f"{len(failed)} NOT as expected" if failed else "all as expected")
            ),
        ]
        show(Document(about, tuple(blocks)), Console())
    if failed or not outcomes or (strict and not only and covered.rules_not_hit):
        raise typer.Exit(ExitCode.differs)


def _all(outcomes: list[Outcome]) -> tuple[Table, ...]:
    by_scenario: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_scenario.setdefault(outcome.check.scenario, []).append(outcome)
    rows = tuple(
        (
            "ok" if all(outcome.is_as_expected for outcome in found) else "FAILED",
            name,
            _words(found),
            ", ".join(sorted({rule for outcome in found for rule in outcome.decision.rules})) or "no rule",
        )
        for name, found in by_scenario.items()
    )
    return (Table(("", "scenario", "decision", "by"), rows),)


def _words(outcomes: list[Outcome]) -> str:
    return ", ".join(dict.fromkeys("allow" if outcome.decision.is_allowed else "deny" for outcome in outcomes))


def _failed(failed: list[Outcome]) -> tuple[Heading | Table, ...]:
    if not failed:
        return ()
    rows = tuple((outcome.check.place, outcome.check.scenario, _asked(outcome), outcome.problem) for outcome in failed)
    return Heading("Not as expected"), Table(("where", "scenario", "asked", "what is wrong"), rows)


def _asked(outcome: Outcome) -> str:
    question = outcome.check.question
    return "a contradiction" if question is None else f"{question.action} in {question.region}"


def _not_covered(covered: Coverage) -> tuple[Heading | Table, ...]:
    rows = tuple(
        (what, ", ".join(names))
        for what, names in (
            ("rules that decide no scenario", covered.rules_not_hit),
            ("regions that no scenario asks of", covered.regions_not_asked),
            ("profiles that no scenario asks of", covered.profiles_not_asked),
            ("projects that no scenario asks of", covered.projects_not_asked),
        )
        if names
    )
    return (Heading("Left out"), Table(("", ""), rows)) if rows else ()


def _plain(outcome: Outcome) -> dict[str, Any]:
    check, question = outcome.check, outcome.check.question
    return {
        "scenario": check.scenario,
        "place": check.place,
        "at": text_of(check.at_s),
        "action": "" if question is None else question.action,
        "region": "" if question is None else question.region,
        "profile": "" if question is None else question.situation.profile,
        "project": "" if question is None else question.situation.project,
        "expected": "Allow" if check.is_allowed else "Deny",
        "expected_rules": None if check.rules is None else sorted(check.rules),
        "decision": outcome.decision.verdict,
        "rules": list(outcome.decision.rules),
        "errors": list(outcome.decision.errors),
        "problem": outcome.problem,
    }


def _plain_coverage(covered: Coverage) -> dict[str, Any]:
    return {
        "checks_by_rule": covered.checks_by_rule,
        "rules_not_hit": covered.rules_not_hit,
        "regions_not_asked": covered.regions_not_asked,
        "profiles_not_asked": covered.profiles_not_asked,
        "projects_not_asked": covered.projects_not_asked,
    }
