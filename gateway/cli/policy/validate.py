"""`patchbay policy validate`: whether a bundle can be used at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in
from policies.residency.bundles.instants import text_of
from policies.residency.checks.scenario_file import ScenariosRefused, read_scenarios

if TYPE_CHECKING:
    from policies.residency.bundles.bundle import Bundle
    from policies.residency.checks.scenario_file import Scenario

BundleFolder = Annotated[Path, typer.Argument(help="Folder of a bundle.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def validate(folder: BundleFolder, as_json: AsJson = False) -> None:
    """Say every mistake in a bundle and its scenario tables; exit 64 if there is one."""
    bundle = bundle_in(folder, as_json=as_json)
    scenarios = scenarios_of(bundle, folder, as_json=as_json)
    regions = len({row.region for row in bundle.regions})
    if as_json:
        print(
            json.dumps(
                {
                    "bundle": str(folder),
                    "name": bundle.name,
                    "version": bundle.version,
                    "digest": bundle.digest,
                    "issued_at": text_of(bundle.issued_at_s),
                    "expires_at": text_of(bundle.expires_at_s),
                    "rules": len(bundle.rules),
                    "profiles": len(bundle.profiles),
                    "projects": len(bundle.projects),
                    "regions": regions,
                    "scenarios": len(scenarios),
                    "mistakes": [],
                }
            )
        )
        return
    print(
        f"the bundle is good: {bundle.name} {bundle.version}, {len(bundle.rules)} rules, "
        f"{len(bundle.profiles)} profiles, {len(bundle.projects)} projects, {regions} regions, "
        f"{len(scenarios)} scenarios\n"
        f"from {text_of(bundle.issued_at_s)} until {text_of(bundle.expires_at_s)}\n"
        f"digest {bundle.digest}"
    )


def scenarios_of(bundle: Bundle, folder: Path, *, as_json: bool) -> tuple[Scenario, ...]:
    """Its scenario tables, or the end of the command: every mistake is told."""
    try:
        return read_scenarios(bundle)
    except ScenariosRefused as refused:
        if as_json:
            print(json.dumps({"bundle": str(folder), "mistakes": refused.mistakes}))
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong scenarios: {folder}: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None
