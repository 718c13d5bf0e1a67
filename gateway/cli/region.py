"""`patchbay region`: check a catalog of regions, show what is in it or what is so now, and empty a region."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.cli.live_regions import list_live_regions, needs_catalog_or_gateway, show_live_region
from gateway.cli.order_commands import AdminUrl, add_order_commands
from policies.routing_facts import RegionState
from regions.catalog_file import CatalogRefused, read_catalog

if TYPE_CHECKING:
    from regions.catalog import PoolSpec, RegionSpec
    from regions.catalog_file import Reading

app = typer.Typer(help="Check and show regions; empty one, and take that back.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Catalog (TOML).")]
CatalogOption = Annotated[
    Path | None, typer.Option("--catalog", help="Catalog (TOML) to read. Default: what a running gateway sees now.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def validate(file: File, as_json: AsJson = False) -> None:
    """Say every mistake in a catalog; exit 64 if there is one. Warnings do not count."""
    catalog, warnings = _read(file, as_json=as_json)
    if as_json:
        print(
            json.dumps(
                {
                    "digest": catalog.digest,
                    "regions": list(catalog.regions),
                    "warnings": [str(warning) for warning in warnings],
                }
            )
        )
        return
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    edges = sum(not region.has_engines for region in catalog.regions.values())
    print(
        f"the catalog is good: {_number(len(catalog.regions) - edges, 'region')}, {_number(edges, 'edge site')}, "
        f"digest {catalog.digest}"
    )


@app.command("list")
def list_regions(catalog: CatalogOption = None, admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
    """Show all regions in a table: of a catalog, or as a running gateway sees them now."""
    needs_catalog_or_gateway(catalog, admin_url)
    if catalog is None:
        list_live_regions(admin_url, as_json=as_json)
        return
    said, _ = _read(catalog, as_json=as_json)
    if as_json:
        print(
            json.dumps(
                {
                    "digest": said.digest,
                    "cost_reference": said.cost_reference,
                    "regions": [_plain(region) for region in said.regions.values()],
                }
            )
        )
        return
    table = Table(title=f"digest {said.digest}")
    for name in ("region", "country", "jurisdictions", "operator", "state", "pools"):
        table.add_column(name, overflow="fold")
    for region in said.regions.values():
        pools = ", ".join(f"{pool.name} ({pool.capacity.value})" for pool in region.pools) or "none: an edge site"
        jurisdictions = ", ".join(sorted(region.jurisdictions))
        row = (region.name, region.country, jurisdictions, region.operator, _state(region).value, pools)
        table.add_row(*map(escape, row))
    Console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The region's name.")],
    catalog: CatalogOption = None,
    admin_url: AdminUrl = "",
    as_json: AsJson = False,
) -> None:
    """Show all that a catalog says of one region, or a running gateway knows of it; exit 66 if there is none."""
    needs_catalog_or_gateway(catalog, admin_url)
    if catalog is None:
        show_live_region(name, admin_url, as_json=as_json)
        return
    said, _ = _read(catalog, as_json=as_json)
    region = said.regions.get(name)
    if region is None:
        sys.stderr.write(f"the catalog has no region {name}; it has {', '.join(said.regions)}\n")
        raise typer.Exit(ExitCode.no_input)
    if as_json:
        print(json.dumps(_plain(region)))
        return
    table = Table("", name, show_lines=False)
    for field, value in _plain(region).items():
        if field not in ("name", "pools"):
            table.add_row(f"[bold]{field}", escape(_shown(value)))
    for pool in region.pools:
        table.add_row(f"[bold]pool {escape(pool.name)}", escape(_shown(_plain_pool(pool))))
    Console().print(table)


add_order_commands(app, "region")


def _read(file: Path, *, as_json: bool) -> Reading:
    try:
        return read_catalog(file)
    except CatalogRefused as refused:
        if as_json:
            print(json.dumps({"mistakes": refused.mistakes}))
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong catalog: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None


def _plain(region: RegionSpec) -> dict[str, Any]:
    return {
        "name": region.name,
        "country": region.country,
        "latitude": region.location.latitude,
        "longitude": region.location.longitude,
        "jurisdictions": sorted(region.jurisdictions),
        "operator": region.operator,
        "state": _state(region).value,
        "gateways": list(region.gateways),
        "relays": list(region.relays),
        "pools": [_plain_pool(pool) for pool in region.pools],
    }


def _plain_pool(pool: PoolSpec) -> dict[str, Any]:
    return {
        "name": pool.name,
        "capacity": pool.capacity.value,
        "accelerator": pool.accelerator,
        "zone": pool.zone,
        "cost_permille": pool.cost_permille,
        "models": [{"name": name, "version": version} for name, version in pool.models],
    }


def _state(region: RegionSpec) -> RegionState:
    return region.state or RegionState.active


def _shown(value: object) -> str:
    match value:
        case dict():
            return "\n".join(f"{field}: {_shown(inner)}" for field, inner in value.items() if inner != "")
        case list():
            return ", ".join(
                " ".join(str(part) for part in inner.values() if part) if isinstance(inner, dict) else str(inner)
                for inner in value
            )
        case _:
            return str(value)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
