"""Regions as a running gateway sees them now: their state, their orders, their room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console

from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_shown import find_order, narrow_table, order_rows, state_words

if TYPE_CHECKING:
    from rich.table import Table


def list_live_regions(admin_url: str, *, as_json: bool) -> None:
    """Print all of them."""
    said, orders = _asked(admin_url)
    regions = [_with_order(region, orders["orders"]) for region in said["regions"]]
    if as_json:
        print(json.dumps(said | {"regions": regions, "store": orders["store"]}))
        return
    console = Console()
    console.print(_table(regions))
    _print_end(console, said, orders)


def show_live_region(name: str, admin_url: str, *, as_json: bool) -> None:
    """Print all that is known of one; exit 66 if there is none of this name."""
    said, orders = _asked(admin_url)
    found = next((region for region in said["regions"] if region["name"] == name), None)
    if found is None:
        names = ", ".join(region["name"] for region in said["regions"])
        failed(AdminRefused(f"{said['here']} knows no region {name}; it knows {names}", ExitCode.no_input))
    region = _with_order(found, orders["orders"])
    if as_json:
        print(json.dumps(region))
        return
    table = narrow_table("", name)
    for row in _rows(region):
        table.add_row(*row)
    for row in order_rows(region["order"]) if region["order"] else [("order", "none")]:
        table.add_row(*row)
    console = Console()
    console.print(table)
    _print_end(console, said, orders)


def _asked(admin_url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        client = AdminClient(admin_url)
        return client.get("/v1/regions"), client.get("/v1/orders")
    except AdminRefused as refused:
        failed(refused)


def _with_order(region: dict[str, Any], orders: list[dict[str, Any]]) -> dict[str, Any]:
    return region | {"order": find_order(orders, "region", region["name"], "")}


def _table(regions: list[dict[str, Any]]) -> Table:
    table = narrow_table("region", "state", "health", "free", "slots", "round trip", "report", "order")
    for region in regions:
        order = region["order"]
        table.add_row(
            region["name"] + (" (here)" if region["is_local"] else ""),
            region["state"] if region["has_engines"] else f"{region['state']}, edge site",
            region["health"] if region["is_reachable"] else "out of reach",
            str(free_slots(region)),
            str(region["slots_total"]),
            _round_trip(region),
            _age(region["age_ms"]),
            "" if order is None else f"{state_words(order)}, by {order['given_by']}",
        )
    return table


def _rows(region: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("state", region["state"] if region["has_engines"] else f"{region['state']}, edge site"),
        ("health", region["health"]),
        ("in reach", "yes" if region["is_reachable"] else "NO: no link to it stands"),
        ("slots", f"{region['slots_total']}, of them free for {_tiers(region)}"),
        ("spot", f"{region['spot_permille'] / 10:g} % of its slots"),
        ("round trip", _round_trip(region)),
        ("report", _age(region["age_ms"])),
        ("models", "\n".join(_model(model) for model in region["models"]) or "none"),
    ]


def _print_end(console: Console, said: dict[str, Any], orders: dict[str, Any]) -> None:
    digest = said["catalog_digest"] or "none"
    console.print(f"seen from {said['here']}; catalog {digest}", style="dim", markup=False)
    if orders["store"] == "away":
        console.print("WARNING: the region's Redis does not answer. Orders stay in force and cannot be changed.")


def free_slots(region: dict[str, Any]) -> int:
    """For a caller without a plan."""
    return max(0, int(region["free_slots_of_tier"].get("standard", 0)))


def _tiers(region: dict[str, Any]) -> str:
    tiers = region["free_slots_of_tier"]
    return ", ".join(f"{tier}: {max(0, free)}" for tier, free in tiers.items()) or "nobody"


def _round_trip(region: dict[str, Any]) -> str:
    return f"{'' if region['is_rtt_measured'] else '~'}{region['rtt_ms']:.1f} ms"


def _age(age_ms: int | None) -> str:
    return "none" if age_ms is None else f"{age_ms / 1_000:.1f} s ago"


def _model(model: dict[str, Any]) -> str:
    leaving = ", leaving" if model["is_leaving"] else ""
    language = model["language"] or "any language"
    return (
        f"{model['name']} {model['version']}, {language}: {model['slots_free']} of {model['slots_total']} free{leaving}"
    )


def needs_catalog_or_gateway(catalog: object, admin_url: str) -> None:
    """Both at once contradict each other."""
    if catalog is not None and admin_url:
        failed(
            AdminRefused("give --catalog for what is written down, or --admin-url for what is so now", ExitCode.usage)
        )
