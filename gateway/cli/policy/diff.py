"""`patchbay policy diff`: which decisions change from one bundle to another, for those who sign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in, fail, instant_of, now_s
from gateway.cli.policy.diff_report import diff_csv, diff_document, diff_json
from gateway.cli.policy.formats import Format, give
from gateway.cli.policy.progress import shown_progress
from policies.residency.bundles.instants import FAR_S
from policies.residency.review.diff import Comparison, Contradicted, Progress, compare

if TYPE_CHECKING:
    from collections.abc import Iterator


def diff(
    before: Annotated[Path, typer.Argument(help="Folder of the bundle that is in force.")],
    after: Annotated[Path, typer.Argument(help="Folder of the bundle that is to come.")],
    begins: Annotated[
        str, typer.Option("--from", help="First instant that counts, such as 2027-06-30. Default: now.")
    ] = "",
    until: Annotated[str, typer.Option(help="Instant until which it counts. Default: the end of both bundles.")] = "",
    reasons: Annotated[
        bool, typer.Option(help="Also list decisions that stay the same but are decided by other rules.")
    ] = False,
    exhaustive: Annotated[
        bool, typer.Option(help="Put every question to both bundles, without short cuts. Takes minutes.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every decision that changes, grouped for sign-off.

    Exit codes: 0 no decision changes; 1 decisions change; 64 a bundle or the command line is wrong; 66 no such folder.
    """
    from_s = instant_of(begins) if begins else now_s()
    until_s = instant_of(until) if until else FAR_S
    if from_s >= until_s:
        fail("--until is not after --from", ExitCode.usage)
    old, new = (bundle_in(folder, as_json=as_json) for folder in (before, after))
    ends_s = max(old.expires_at_s, new.expires_at_s)
    if not until and from_s < ends_s:
        until_s = ends_s
    try:
        found = _found(compare(old, new, from_s=from_s, until_s=until_s, is_exhaustive=exhaustive))
    except Contradicted as fault:
        fail(f"a fault of patchbay, try --exhaustive: {fault}", ExitCode.internal)
    if as_json:
        give(json.dumps(diff_json(found)) + "\n", out)
    elif form is Format.csv:
        give(diff_csv(found), out)
    else:
        form.write(diff_document(found, has_reasons=reasons), out)
    if found.changed:
        raise typer.Exit(ExitCode.differs)


def _found(steps: Iterator[Progress | Comparison]) -> Comparison:
    with shown_progress("asking both") as progress:
        for step in steps:
            if isinstance(step, Comparison):
                return step
            progress(step.done, step.total)
    raise AssertionError("a comparison ends with what it found")
