"""`patchbay policy lint`: what a bundle that can be used may still have wrong."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in, instant_of, now_s
from gateway.cli.policy.document import Document, Paragraph, Table, show
from gateway.cli.policy.validate import AsJson, BundleFolder, scenarios_of
from policies.residency.bundles.instants import text_of
from policies.residency.checks.lint import lint as findings_of
from policies.residency.checks.lint_finding import Finding, Severity
from policies.residency.checks.scenarios import run_scenarios


def lint(
    folder: BundleFolder,
    at: Annotated[str, typer.Option(help="As if it were then, such as 2027-06-30; default: now.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is dangerous, untested, due or about to end in a bundle; exit 1 if something is wrong."""
    bundle = bundle_in(folder, as_json=as_json)
    at_s = instant_of(at) if at else now_s()
    outcomes = list(run_scenarios(bundle, scenarios_of(bundle, folder, as_json=as_json)))
    findings = findings_of(bundle, now_s=at_s, outcomes=outcomes)
    grave = (Severity.error, Severity.warning) if strict else (Severity.error,)
    is_wrong = any(finding.severity in grave for finding in findings)
    if as_json:
        print(
            json.dumps(
                {
                    "bundle": str(folder),
                    "version": bundle.version,
                    "digest": bundle.digest,
                    "at": text_of(at_s),
                    "is_good": not is_wrong,
                    "findings": [
                        {
                            "severity": finding.severity.value,
                            "check": finding.check,
                            "place": finding.place,
                            "sentence": finding.sentence,
                            "advice": finding.advice,
                        }
                        for finding in findings
                    ],
                }
            )
        )
    else:
        counts = ", ".join(_count(findings_of_kind, severity) for severity, findings_of_kind in _by(findings))
        rows = tuple(
            (finding.severity.value, finding.place, f"{finding.sentence} {finding.advice} ({finding.check})")
            for finding in findings
        )
        blocks = (Table(("", "where", "what, and what to do"), rows),) if rows else ()
        title = f"{bundle.name} {bundle.version} at {text_of(at_s)}"
        show(Document(title, (*blocks, Paragraph(counts))), Console())
    if is_wrong:
        raise typer.Exit(ExitCode.differs)


def _by(findings: list[Finding]) -> list[tuple[Severity, int]]:
    return [(severity, sum(finding.severity is severity for finding in findings)) for severity in Severity]


def _count(count: int, severity: Severity) -> str:
    return f"{count} {severity.value}{'' if count == 1 else 's'}"
