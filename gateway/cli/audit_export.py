"""`patchbay audit export`: records of a session, a tenant or a time, with what proves them."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.decision_log.export import Exported, export_csv, export_lines
from gateway.decision_log.reading import Wanted
from policies.residency.record_chain.export_proof import Asked


class Format(StrEnum):
    jsonl = "jsonl"
    csv = "csv"


def export(
    directory: Annotated[Path, typer.Argument(help="Of a log.")],
    session: Annotated[str, typer.Option(help="Records of this session.")] = "",
    tenant: Annotated[str, typer.Option(help="Records of this org, or of one project of it: ORG/PROJECT.")] = "",
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Records from the first instant to before the second: 2026-07-01 or 2026-07-01T12:00:00Z."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; without it, standard output.")] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="`jsonl` carries the proof; `csv` is for people, and proves nothing.")
    ] = Format.jsonl,
    proven: Annotated[
        bool, typer.Option("--proven", help="Leave out records that no checkpoint covers yet: they prove nothing.")
    ] = False,
) -> None:
    """Write records that `patchbay audit verify` can show to be in the log, without the others."""
    if not (session or tenant or between):
        print("say which records: --session, --tenant or --between", file=sys.stderr)
        raise typer.Exit(ExitCode.usage)
    org, _, project = tenant.partition("/")
    since_ms, until_ms = (0, None) if between is None else (_instant_ms(between[0]), _instant_ms(between[1]))
    wanted = Wanted(session, org, project, since_ms, until_ms)
    asked = Asked(
        made_at=time.time_ns() // 1_000_000,
        session=session,
        org=org,
        project=wanted.project,
        since=since_ms,
        until=until_ms,
    )
    try:
        exported = _write(directory, wanted, asked, out, format_, is_proven_only=proven)
    except OSError as error:
        print(f"{error.filename or directory}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(ExitCode.no_input) from None
    print(f"{exported.num_records} records", file=sys.stderr)
    if exported.num_unproven:
        which = "more, which are left out" if proven else "of them; they prove nothing"
        print(f"no checkpoint covers yet {exported.num_unproven} {which}", file=sys.stderr)
    if not exported.num_records:
        raise typer.Exit(ExitCode.no_input)


def _write(
    directory: Path, wanted: Wanted, asked: Asked, out: Path | None, format_: Format, *, is_proven_only: bool
) -> Exported:
    if format_ is Format.csv:
        if out is None:
            return Exported(export_csv(directory, wanted, sys.stdout), 0)
        with out.open("w", newline="", encoding="utf-8") as table:
            return Exported(export_csv(directory, wanted, table), 0)
    if out is None:
        return export_lines(directory, wanted, asked, sys.stdout.buffer, is_proven_only=is_proven_only)
    with out.open("wb") as lines:
        return export_lines(directory, wanted, asked, lines, is_proven_only=is_proven_only)


def _instant_ms(text: str) -> int:
    """Without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        print(f"{text} is no instant: 2026-07-01 or 2026-07-01T12:00:00Z", file=sys.stderr)
        raise typer.Exit(ExitCode.usage) from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1_000)
