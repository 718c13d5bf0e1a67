"""`patchbay usage`: what orgs use now, whether the bill is whole, and what could not be delivered."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from dataclasses import asdict, dataclass
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
    place = _place(config)
    hour = time.time_ns() // 1_000_000 // MS_PER_HOUR

    async def read(reader: UsageReader) -> list[OrgUsage]:
        orgs = [org] if org else await reader.orgs()
        return [await reader.show(one, hour=hour, all_levels=org is not None) for one in orgs]

    rows = _ask(place, read)
    if as_json:
        print(json.dumps([_org_json(row) for row in rows]))
        return
    table = _table("org", "level", "sessions", "balance", "held", "settled", "recorded")
    for row in rows:
        for index, level in enumerate(row.levels):
            of_org = (_seconds(row.settled_us), _seconds(row.recorded_us)) if index == 0 else ("", "")
            state = (str(level.sessions), _seconds(level.balance_us), _seconds(level.held_us))
            table.add_row(row.org if index == 0 else "", _level(level.level), *state, *of_org)
    console = Console()
    console.print(table)
    console.print("settled and recorded: in this hour (UTC)", style="dim")
    for row in rows:
        for sink, (entries, age_ms) in row.lag.items():
            console.print(f"{row.org}: {sink} has {entries} to deliver, the oldest {age_ms / 1_000:.0f} s old")


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
    place = _place(config)
    logs = [_open_log(directory) for directory in state or [place.state_directory]]
    now_ms = time.time_ns() // 1_000_000
    to_hour = now_ms // MS_PER_HOUR

    async def read(reader: UsageReader) -> list[HourRow]:
        orgs = [org] if org else await reader.orgs()
        rows: list[HourRow] = []
        for one in orgs:
            rows += await reader.hours(one, logs, from_hour=to_hour - hours + 1, to_hour=to_hour)
        return rows

    rows = _ask(place, read)
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
    place = _place(config)
    letters = list(_open_log(place.state_directory).dead_letters(sink=sink, org=org, limit=limit))
    if as_json:
        print(json.dumps([_letter_json(letter) for letter in letters]))
        return
    console = Console()
    for letter in letters:
        arrived = ", may have arrived" if letter.death.may_have_arrived else ""
        where = f"{letter.org}, {_hour(letter.hour)}, {_seconds(letter.compute_us)}"
        console.print(f"{letter.sink}  {letter.event_id}  {where}", soft_wrap=True)
        console.print(f"  {letter.death.reason}{arrived}: {letter.death.detail}", soft_wrap=True, markup=False)
    if not letters:
        console.print("no dead letters")


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
    place = _place(config)
    log = _open_log(place.state_directory)
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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the books are."""

    redis: RedisSettings
    sinks: list[str]
    state_directory: Path


def _place(config: Path | None) -> _Place:
    """What the settings do not say is that of the region that `patchbay up` runs here."""
    try:
        tree = read_tree(config, os.environ)
    except SettingsRefused as refused:
        _fail("\n".join(f"wrong setting: {mistake}" for mistake in refused.mistakes), ExitCode.usage)
    region = newest(state_directory(os.environ)) or {}
    redis = _part(tree, "limits").get("redis") or ({"urls": [region["redis"]]} if "redis" in region else None)
    metering = _part(tree, "metering")
    if "sent_log" in region:
        metering = {"state_directory": region["sent_log"]} | metering
    try:
        if redis is not None and "sinks" in metering:
            exporter = ExporterSettings.model_validate(metering)
            sinks = [sink.name for sink in exporter.sinks]
            return _Place(RedisSettings.model_validate(redis), sinks, exporter.state_directory)
        if redis is not None and "sinks" in region and "state_directory" in metering:
            directory = Path(metering["state_directory"])
            return _Place(RedisSettings.model_validate(redis), region["sinks"], directory)
    except ValidationError:
        _fail("limits.redis or metering is not as it must be: see `patchbay config check`", ExitCode.usage)
    _fail(
        "no region here says where its usage goes: name the settings file of the gateways with --config", ExitCode.usage
    )


def _part(tree: dict[str, Any], name: str) -> dict[str, Any]:
    part = tree.get(name)
    return part if isinstance(part, dict) else {}


def _ask(place: _Place, read: Callable[[UsageReader], Awaitable[Answer]]) -> Answer:
    async def ask() -> Answer:
        link = RedisLink(place.redis, client_name="patchbay-usage")
        try:
            return await read(UsageReader(link, place.sinks, is_cluster=place.redis.is_cluster))
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
    table = _table("org", "hour (UTC)", "sink", "settled µs", "recorded µs", "delivered µs", "verdict")
    for row, is_complete in rows:
        sums = row.sums
        verdict = sums.verdict.value.replace("_", " ") + ("" if is_complete else ", so far")
        values = (str(sums.settled_us), str(sums.recorded_us), str(sums.delivered_us))
        table.add_row(row.org, _hour(row.hour).removesuffix(":00Z"), row.sink, *values, verdict)
    console = Console()
    console.print(table)
    for row, _ in rows:
        _print_rest(console, row)


def _print_rest(console: Console, row: HourRow) -> None:
    """What of an hour is not settled, recorded and delivered alike, and the events that it is about."""
    sums = row.sums
    parts = {
        "open": sums.open_us,
        "in flight": sums.in_flight_us,
        "dead": sums.dead_us,
        "lost": sums.lost_us,
        "surplus": sums.surplus_us,
    }
    of_it = ", ".join(f"{name} {value} µs" for name, value in parts.items() if value)
    if of_it:
        console.print(f"{row.org}, {_hour(row.hour)}, {row.sink}: {of_it}", soft_wrap=True)
    for event_id in (*row.dead_ids, *row.missing_ids)[:_NAMED_IDS]:
        console.print(f"  {event_id}", soft_wrap=True)


def _table(*columns: str) -> Table:
    """Narrow, and what does not fit goes on below instead of being cut off."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _level(level: str) -> str:
    """As users know it: keys of Redis have `o`, `p:NAME` and `k:PSEUDONYM`."""
    kind, _, name = level.partition(":")
    return f"{ {'o': 'org', 'p': 'project', 'k': 'key'}.get(kind, kind) } {name}".rstrip()


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
