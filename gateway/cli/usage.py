"""`patchbay usage`: what orgs use now, whether the bill is whole, and what could not be delivered."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import state_directory
from gateway.metering.entries import MS_PER_HOUR
from gateway.metering.exporter.reconciliation import Verdict, differs
from gateway.metering.exporter.sent_log import FILE_NAME, SentLog
from gateway.metering.exporter.settings import ExporterSettings
from gateway.metering.exporter.usage_reader import HourRow, OrgUsage, UsageReader
from gateway.redis_link.client import RedisLink
from gateway.redis_link.errors import RedisAway
from gateway.redis_link.settings import RedisSettings
from gateway.running_regions import newest
from gateway.settings import SettingsRefused, read_tree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.metering.exporter.sent_log import DeadLetter

app = typer.Typer(help="Usage, its delivery to the bill, and what could not be delivered.", no_args_is_help=True)
letters_app = typer.Typer(help="Events that a receiver refused, or that got too old.", no_args_is_help=True)
app.add_typer(letters_app, name="dead-letters")

Answer = TypeVar("Answer")
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML); the environment goes over it.")]
Org = Annotated[str | None, typer.Option(help="This org alone.")]
Sink = Annotated[str | None, typer.Option(help="This sink alone.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NAMED_IDS = 20


@app.command()
def show(config: Config = None, org: Org = None, as_json: AsJson = False) -> None:
    """Print what each org uses now; with --org its projects and keys too."""
    redis, exporter = _settings(config)
    hour = time.time_ns() // 1_000_000 // MS_PER_HOUR

    async def read(reader: UsageReader) -> list[OrgUsage]:
        orgs = [org] if org else await reader.orgs()
        return [await reader.show(one, hour=hour, all_levels=org is not None) for one in orgs]

    rows = _ask(redis, exporter, read)
    if as_json:
        print(json.dumps([_org_json(row) for row in rows]))
        return
    table = Table("org", "level", "sessions", "balance", "held", "settled this hour", "recorded", "lag")
    for row in rows:
        lag = ", ".join(f"{sink} {entries} ({age_ms / 1_000:.0f} s)" for sink, (entries, age_ms) in row.lag.items())
        for index, level in enumerate(row.levels):
            of_org = (_seconds(row.settled_us), _seconds(row.recorded_us), lag) if index == 0 else ("", "", "")
            state = (str(level.sessions), _seconds(level.balance_us), _seconds(level.held_us))
            table.add_row(row.org if index == 0 else "", level.level, *state, *of_org)
    Console().print(table)


@app.command()
def reconcile(
    config: Config = None,
    org: Org = None,
    hours: Annotated[int, typer.Option(min=1, max=960, help="So many hours back, the present one included.")] = 24,
    state: Annotated[
        list[Path] | None,
        typer.Option(help="State directory of an exporter; may be given several times. Default: the settings'."),
    ] = None,
    grace_s: Annotated[int, typer.Option(min=0, max=3_600, help="An hour is complete so long after its end.")] = 120,
    as_json: AsJson = False,
) -> None:
    """Say whether settled = recorded = delivered, for each org, hour and sink, to the microsecond.

    Exit codes: 0 equal; 1 a complete hour differs, or something is lost or counted twice; 75 nothing is wrong, but of a
    complete hour some is still on its way.
    """
    redis, exporter = _settings(config)
    logs = [_open_log(directory) for directory in state or [exporter.state_directory]]
    now_ms = time.time_ns() // 1_000_000
    to_hour = now_ms // MS_PER_HOUR

    async def read(reader: UsageReader) -> list[HourRow]:
        orgs = [org] if org else await reader.orgs()
        rows: list[HourRow] = []
        for one in orgs:
            rows += await reader.hours(one, logs, from_hour=to_hour - hours + 1, to_hour=to_hour)
        return rows

    rows = _ask(redis, exporter, read)
    checked = [(row, _is_complete(row.hour, now_ms=now_ms, grace_s=grace_s)) for row in rows]
    _print_rows(checked, as_json=as_json)
    if any(differs(row.sums.verdict, is_complete=is_complete) for row, is_complete in checked):
        raise typer.Exit(ExitCode.differs)
    if any(row.sums.verdict is Verdict.in_flight and is_complete for row, is_complete in checked):
        raise typer.Exit(ExitCode.not_yet)


@letters_app.command("list")
def list_letters(
    config: Config = None,
    org: Org = None,
    sink: Sink = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List events that were given up, oldest first, with the reason."""
    _redis, exporter = _settings(config)
    letters = list(_open_log(exporter.state_directory).dead_letters(sink=sink, org=org, limit=limit))
    if as_json:
        print(json.dumps([_letter_json(letter) for letter in letters]))
        return
    table = Table("sink", "id", "org", "hour", "compute", "reason", "may have arrived", "detail")
    for letter in letters:
        table.add_row(
            letter.sink,
            letter.event_id,
            letter.org,
            _hour(letter.hour),
            _seconds(letter.compute_us),
            letter.death.reason,
            "yes" if letter.death.may_have_arrived else "no",
            letter.death.detail,
        )
    Console().print(table)


@letters_app.command()
def retry(
    config: Config = None,
    org: Org = None,
    sink: Sink = None,
    event_id: Annotated[list[str] | None, typer.Option("--id", help="This event; may be given several times.")] = None,
    reason: Annotated[str | None, typer.Option(help="Those with this reason.")] = None,
    even_if_arrived: Annotated[
        bool, typer.Option("--even-if-arrived", help="Also those that the receiver may have: it may count them twice.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have the exporter send dead letters again; they stay on the list until the receiver takes them."""
    _redis, exporter = _settings(config)
    log = _open_log(exporter.state_directory)
    wanted = [
        letter
        for letter in log.dead_letters(sink=sink, org=org)
        if (not event_id or letter.event_id in event_id) and (reason is None or letter.death.reason == reason)
    ]
    chosen = [letter for letter in wanted if even_if_arrived or not letter.death.may_have_arrived]
    marked = log.mark_for_retry(chosen)
    left = {"may_have_arrived": len(wanted) - len(chosen), "no_longer_known": len(chosen) - marked}
    if as_json:
        print(json.dumps({"marked": marked, "left": left}))
        return
    print(
        f"{marked} will be sent again; left: {left['may_have_arrived']} that may have arrived, "
        f"{left['no_longer_known']} of which nothing more is known"
    )


def _settings(config: Path | None) -> tuple[RedisSettings, ExporterSettings]:
    """What the settings do not say is that of the region that `patchbay up` runs here."""
    try:
        tree = read_tree(config, os.environ)
    except SettingsRefused as refused:
        _fail("\n".join(f"wrong setting: {mistake}" for mistake in refused.mistakes), ExitCode.usage)
    region = newest(state_directory(os.environ)) or {}
    redis = _part(tree, "limits").get("redis") or ({"urls": [region["redis"]]} if "redis" in region else None)
    metering = tree.get("metering") or region.get("metering")
    if redis is None or metering is None:
        _fail(
            "no region here says where its usage goes: name the settings file of the gateways with --config",
            ExitCode.usage,
        )
    try:
        return RedisSettings.model_validate(redis), ExporterSettings.model_validate(metering)
    except ValidationError:
        _fail("limits.redis or metering is not as it must be: see `patchbay config check`", ExitCode.usage)


def _part(tree: dict[str, Any], name: str) -> dict[str, Any]:
    part = tree.get(name)
    return part if isinstance(part, dict) else {}


def _ask(redis: RedisSettings, exporter: ExporterSettings, read: Callable[[UsageReader], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        link = RedisLink(redis, client_name="patchbay-usage")
        try:
            return await read(UsageReader(link, [one.name for one in exporter.sinks], is_cluster=redis.is_cluster))
        finally:
            await link.aclose()

    try:
        return asyncio.run(ask())
    except RedisAway as away:
        _fail(f"Redis cannot be asked: {away}", ExitCode.unavailable)


def _open_log(directory: Path) -> SentLog:
    if not (directory / FILE_NAME).is_file():
        _fail(f"no sent log in {directory}", ExitCode.no_input)
    try:
        return SentLog(directory)
    except (OSError, sqlite3.Error) as error:
        _fail(f"the sent log in {directory} cannot be read: {error}", ExitCode.no_input)


def _fail(text: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(code)


def _is_complete(hour: int, *, now_ms: int, grace_s: int) -> bool:
    return now_ms >= (hour + 1) * MS_PER_HOUR + grace_s * 1_000


def _print_rows(rows: Sequence[tuple[HourRow, bool]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_hour_json(row, is_complete=is_complete) for row, is_complete in rows]))
        return
    table = Table("org", "hour (UTC)", "sink", "settled µs", "recorded µs", "delivered µs", "verdict", "of it")
    for row, is_complete in rows:
        sums = row.sums
        parts = {
            "open": sums.open_us,
            "in flight": sums.in_flight_us,
            "dead": sums.dead_us,
            "lost": sums.lost_us,
            "surplus": sums.surplus_us,
        }
        of_it = ", ".join(f"{name} {value}" for name, value in parts.items() if value)
        verdict = sums.verdict.value + ("" if is_complete else " (not complete)")
        values = (str(sums.settled_us), str(sums.recorded_us), str(sums.delivered_us))
        table.add_row(row.org, _hour(row.hour), row.sink, *values, verdict, of_it)
        for event_id in (*row.dead_ids, *row.missing_ids)[:_NAMED_IDS]:
            table.add_row("", "", "", "", "", "", "", event_id)
    Console().print(table)


def _hour_json(row: HourRow, *, is_complete: bool) -> dict[str, Any]:
    sums = row.sums
    return {
        "org": row.org,
        "hour": _hour(row.hour),
        "sink": row.sink,
        "verdict": sums.verdict.value,
        "is_complete": is_complete,
        **asdict(sums),
        "open_us": sums.open_us,
        "lost_us": sums.lost_us,
        "surplus_us": sums.surplus_us,
        "dead_ids": row.dead_ids[:_NAMED_IDS],
        "missing_ids": row.missing_ids[:_NAMED_IDS],
    }


def _org_json(row: OrgUsage) -> dict[str, Any]:
    lag = {sink: {"entries": entries, "oldest_ms": age_ms} for sink, (entries, age_ms) in row.lag.items()}
    return asdict(row) | {"lag": lag}


def _letter_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "sink": letter.sink,
        "id": letter.event_id,
        "org": letter.org,
        "hour": _hour(letter.hour),
        "compute_us": letter.compute_us,
        "at_ms": letter.at_ms,
        "reason": letter.death.reason,
        "detail": letter.death.detail,
        "may_have_arrived": letter.death.may_have_arrived,
        "is_to_be_retried": letter.is_to_be_retried,
        "is_known": letter.event is not None,
    }


def _hour(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3_600, UTC).strftime("%Y-%m-%dT%H:00Z")


def _seconds(micros: int) -> str:
    return f"{micros / 1_000_000:.3f} s"
