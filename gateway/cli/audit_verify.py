"""`patchbay audit verify`: whether a decision log, or an export of one, is as it was written."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.decision_log.opened_files import log_files
from gateway.decision_log.read_ahead import read_ahead
from gateway.decision_log.signing import KeyUnusable, load_public_keys
from policies.residency.record_chain.export_proof import verify_export
from policies.residency.record_chain.verify import verify_log

if TYPE_CHECKING:
    from policies.residency.record_chain.log_findings import Finding, Verified
    from policies.residency.record_chain.verify_checkpoints import Keys

_SHOWN = 20


def verify(
    path: Annotated[Path, typer.Argument(help="Directory of a log, or a file that `audit export` wrote.")],
    key: Annotated[
        list[Path] | None, typer.Option("--key", help="Public key of a region (PEM). May be given more than once.")
    ] = None,
    copy: Annotated[
        list[Path] | None, typer.Option("--copy", help="Second copy of the log. May be given more than once.")
    ] = None,
    is_copy: Annotated[
        bool, typer.Option("--is-copy", help="PATH is a second copy itself: what was not sealed yet is not in it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether anything was changed, taken away, put in, moved or cut off, and where. Exit code 1: something was."""
    try:
        keys = load_public_keys(key or [])
    except KeyUnusable as unusable:
        print(unusable, file=sys.stderr)
        raise typer.Exit(ExitCode.usage) from None
    try:
        if path.is_dir():
            _log(path, keys, copy or [], is_copy=is_copy, as_json=as_json)
        else:
            _export(path, keys, as_json=as_json)
    except OSError as error:
        print(f"{error.filename or path}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(ExitCode.no_input) from None


def _log(path: Path, keys: Keys, copies: list[Path], *, is_copy: bool, as_json: bool) -> None:
    files = log_files(path)
    if not files:
        print(f"{path}: there is no decision log", file=sys.stderr)
        raise typer.Exit(ExitCode.no_input)
    began_s = time.monotonic()
    verified = verify_log(
        files, keys, copies=[log_files(one) for one in copies], is_copy=is_copy, ahead=read_ahead(path)
    )
    took_s = time.monotonic() - began_s
    if as_json:
        print(json.dumps(_as_dict(verified)))
    else:
        _show(verified, took_s)
    _exit(is_intact=verified.is_intact)


def _as_dict(verified: Verified) -> dict[str, object]:
    return {
        "is_intact": verified.is_intact,
        "num_records": verified.num_records,
        "num_findings": verified.num_findings,
        "findings": [dataclasses.asdict(finding) for finding in verified.findings],
        "notes": list(verified.notes),
        "writers": [dataclasses.asdict(writer) for writer in verified.writers],
    }


def _show(verified: Verified, took_s: float) -> None:
    for writer in verified.writers:
        unsigned = f", {writer.num_unsigned} of them under no checkpoint yet" if writer.num_unsigned else ""
        print(
            f"{writer.writer}: {writer.end.value}, {writer.num_files} files, "
            f"{writer.num_records} records to number {writer.last_seq}{unsigned}"
        )
    for note in verified.notes:
        print(f"note: {note}")
    for finding in verified.findings[:_SHOWN]:
        print(f"FOUND {_place(finding)}: {finding.kind.value}: {finding.text}")
    if verified.num_findings > _SHOWN:
        print(f"FOUND {verified.num_findings - _SHOWN} more; --json lists {len(verified.findings)}")
    verdict = "intact" if verified.is_intact else f"NOT INTACT: {verified.num_findings} findings"
    print(f"{verdict}: {verified.num_records} records in {took_s:.1f} s")


def _place(finding: Finding) -> str:
    if not finding.file:
        return finding.writer
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return place if finding.seq is None else f"{place} (record {finding.seq})"


def _export(path: Path, keys: Keys, *, as_json: bool) -> None:
    if not keys:
        print("an export proves nothing without the public key of its region: --key", file=sys.stderr)
        raise typer.Exit(ExitCode.usage)
    with path.open("rb") as lines:
        verified = verify_export(lines, keys)
    if as_json:
        found = [dataclasses.asdict(finding) for finding in verified.findings]
        print(
            json.dumps(
                {
                    "is_intact": verified.is_proven,
                    "num_records": verified.num_records,
                    "num_unproven": verified.num_unproven,
                    "findings": found,
                }
            )
        )
        _exit(is_intact=verified.is_proven)
    for finding in verified.findings[:_SHOWN]:
        print(f"FOUND {path.name}:{finding.line}: {finding.text}")
    verdict = "intact"
    if verified.findings:
        verdict = "NOT INTACT"
    elif verified.num_unproven:
        verdict = f"NOT PROVEN: {verified.num_unproven} are under no checkpoint that somebody signed"
    print(f"{verdict}: {verified.num_records} records")
    _exit(is_intact=verified.is_proven)


def _exit(*, is_intact: bool) -> NoReturn:
    raise typer.Exit(ExitCode.ok if is_intact else ExitCode.differs)
