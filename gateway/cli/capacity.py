"""`patchbay capacity`: whether a region survives the loss of its worst zone of spot machines, and what it lacks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.exit_codes import ExitCode
from policies.capacity import PoolCapacity, zone_loss
from regions.capacity.shown import NO_ZONE, zone_loss_json
from regions.catalog_file import CatalogRefused, read_catalog

if TYPE_CHECKING:
    from regions.catalog import RegionSpec

app = typer.Typer(help="Whether a region has slots enough, and what autoscalers are told.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_MAX_SLOTS = 1_000_000


@app.callback()
def capacity() -> None:
    """Whether a region has slots enough, and what autoscalers are told."""


@app.command()
def show(
    without: Annotated[str, typer.Option(help="Say too what would be left if this pool were drained.")] = "",
    admin_url: Annotated[
        str, typer.Option(help="Where the gateway serves its metrics. Default: the region that runs here.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show a running gateway's region: slots by pool and zone, what is wanted, and whether a zone may be lost."""
    try:
        answer = AdminClient(admin_url).get("/v1/capacity", **({"without": without} if without else {}))
    except AdminRefused as refused:
        failed(refused)
    if "fleets" not in answer:
        _fail("the gateway's answer cannot be read", ExitCode.protocol_broken)
    if as_json:
        print(json.dumps(answer))
        return
    _show(Console(), answer)


@app.command()
def check(
    catalog: Annotated[Path, typer.Argument(help="Catalog (TOML).")],
    region: Annotated[str, typer.Argument(help="The region's name.")],
    demand: Annotated[int, typer.Option(min=0, max=_MAX_SLOTS, help="Slots in use at the peak.")],
    slots: Annotated[
        list[str],
        typer.Option(help="POOL=SLOTS, or POOL/ZONE=SLOTS where it has engines in several; once for each."),
    ],
    headroom: Annotated[int, typer.Option(min=0, max=10_000, help="Permille above the demand.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Check the rule for a region as it is planned; exit 1 where it does not hold.

    The catalog says which pools are spot, in which zone and at what cost; how many slots they are to have, you say.
    """
    spec = _region(catalog, region)
    rows = _planned(spec, slots)
    answer = zone_loss_json(zone_loss(rows, demand_slots=demand, headroom_permille=headroom))
    if as_json:
        print(json.dumps({"region": region, "headroom_permille": headroom, **answer}))
    else:
        _show_planned(Console(), rows, answer)
    if not answer["holds"]:
        raise typer.Exit(ExitCode.differs)


def _region(file: Path, name: str) -> RegionSpec:
    try:
        catalog, _warnings = read_catalog(file)
    except CatalogRefused as refused:
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong catalog: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None
    region = catalog.regions.get(name)
    if region is None:
        _fail(f"the catalog has no region {name}; it has {', '.join(catalog.regions)}", ExitCode.no_input)
    return region


def _planned(region: RegionSpec, said: list[str]) -> list[PoolCapacity]:
    """What each `--slots` says of a pool; pools that none names have none."""
    pools = {pool.name: pool for pool in region.pools}
    rows: dict[tuple[str, str], PoolCapacity] = {}
    for text in said:
        place, equals, number = text.rpartition("=")
        name, _, zone = place.partition("/")
        if not equals or not (number.isascii() and number.isdecimal()) or int(number) > _MAX_SLOTS:
            _fail(f"--slots {text}: say POOL=SLOTS or POOL/ZONE=SLOTS, at most {_MAX_SLOTS}", ExitCode.usage)
        if name not in pools:
            _fail(f"--slots {text}: no pool of {region.name}; it has {', '.join(pools) or 'none'}", ExitCode.usage)
        pool = pools[name]
        key = (name, zone or pool.zone)
        if key in rows:
            _fail(f"--slots {text}: was said before", ExitCode.usage)
        rows[key] = PoolCapacity(name, pool.capacity, key[1], slots_total=int(number), cost_permille=pool.cost_permille)
    return [rows[key] for key in sorted(rows)]


def _fail(text: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(code)


# --- for people -------------------------------------------------------------------------------------------


def _show(console: Console, answer: dict[str, Any]) -> None:
    free = ", ".join(f"{slots} {tier}" for tier, slots in answer["free_slots_of_tier"].items())
    _say(console, f"{answer['region']}: free slots by tier: {free or 'none'}")
    if not answer["fleets"]:
        _say(console, "no engine is known here")
    for fleet in answer["fleets"]:
        _say(console, "")
        _show_fleet(console, fleet, is_named=len(answer["fleets"]) > 1)
    if not answer["is_settled"]:
        _say(console, "too few engines answer this gateway: it tells autoscalers nothing")


def _show_fleet(console: Console, fleet: dict[str, Any], *, is_named: bool) -> None:
    if is_named:
        _say(console, f"{', '.join(fleet['models']) or 'models that nobody named'}:")
    table = _table("pool", "class", "zone", "engines", "slots", "used", "leaving", "wanted", "cost")
    for row in fleet["pools"]:
        numbers = (row[name] for name in ("engines", "slots", "used_slots", "leaving_slots", "wanted_slots"))
        cost = f"{row['cost_permille'] / 1_000:.2f}"
        table.add_row(row["pool"], row["capacity"], row["zone"], *map(str, numbers), cost)
    console.print(table)
    demand, wanted = fleet["demand"], fleet["wanted"]
    unmet = f", {demand['unmet_slots']} of them without a slot" if demand["unmet_slots"] else ""
    expected = "" if demand["expected_slots"] is None else f", {demand['expected_slots']} are expected"
    _say(console, f"demand: {demand['now_slots']}{unmet}; {demand['seen_peak_slots']} at the peak{expected}")
    _say(console, _verdict(fleet["zone_loss"]))
    if "zone_loss_without" in fleet:
        left = fleet["zone_loss_without"]
        _say(console, f"with {left['pool']} drained: {_verdict(left)}")
    if wanted["fallback_slots"]:
        _say(console, f"{wanted['fallback_slots']} reserved slots are wanted in place of spot that does not come")
    if wanted["unplaced_slots"]:
        _say(console, f"{wanted['unplaced_slots']} slots should be reserved ones, and there is no reserved pool")
    if wanted["is_learning"]:
        _say(console, "this gateway has not watched for long: no pool is wanted smaller than it is")


def _show_planned(console: Console, rows: list[PoolCapacity], answer: dict[str, Any]) -> None:
    table = _table("pool", "class", "zone", "slots", "cost")
    for row in rows:
        cost = f"{row.cost_permille / 1_000:.2f}"
        table.add_row(row.pool, row.capacity.value, row.zone or NO_ZONE, str(row.slots_total), cost)
    console.print(table)
    _say(console, _verdict(answer))
    if answer["holds"] and answer["against_reserved_permille"] is not None:
        _say(console, f"costs {answer['against_reserved_permille'] / 10:.1f} % of as many reserved slots as are needed")


def _verdict(loss: dict[str, Any]) -> str:
    """Whether the loss of the worst zone is survived, in a sentence."""
    if loss["worst_zone"] is None:
        begins = "enough" if loss["holds"] else "NOT enough"
    else:
        begins = "the loss of a zone is survived" if loss["holds"] else "the loss of a zone is NOT survived"
    return f"{begins}: {loss['says']}"


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
