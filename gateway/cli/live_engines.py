"""The engines and pools of a region as one of its gateways sees them now."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_commands import AdminUrl, resolved
from gateway.cli.order_shown import narrow_table, order_rows, state_words

if TYPE_CHECKING:
    from collections.abc import Callable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Its name; of an engine its address, instance or number.")]


def add_live_commands(app: typer.Typer, scope: str) -> None:
    """`list` and `show`; `scope`: pool or engine."""
    app.command("list", help=f"Show the {scope}s of a running region, their slots and their orders.")(_listing(scope))
    app.command("show", help=f"Show all that is known of one {scope}; exit 66 if there is none of this name.")(
        _showing(scope)
    )


def _listing(scope: str) -> Callable[..., None]:
    def list_them(admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
        said, orders = _asked(scope, admin_url)
        rows = said[f"{scope}s"]
        if as_json:
            print(json.dumps(said))
            return
        table = narrow_table(*_COLUMNS[scope])
        for row in rows:
            order = orders.get(row["order"])
            table.add_row(*_CELLS[scope](row), "" if order is None else _order_words(order, scope))
        console = Console()
        console.print(table if rows else f"{said['here']} has no {scope}s now")

    return list_them


def _showing(scope: str) -> Callable[..., None]:
    def show(name: Name, admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
        said, orders = _asked(scope, admin_url)
        try:
            wanted = resolved(scope, name)
        except AdminRefused as refused:
            failed(refused)
        rows = said[f"{scope}s"]
        found = next((row for row in rows if wanted in map(row.get, ("name", "address", "instance"))), None)
        if found is None:
            names = ", ".join(row.get("name") or row["address"] for row in rows) or "none"
            failed(AdminRefused(f"{said['here']} has no {scope} {name}; it has {names}", ExitCode.no_input))
        order = orders.get(found["order"])
        if as_json:
            print(json.dumps(found | {"order": order}))
            return
        table = narrow_table("", name)
        for field, value in found.items():
            if field != "order":
                table.add_row(field.replace("_", " "), _shown(value))
        for label, text in order_rows(order) if order else [("order", "none")]:
            table.add_row(label, text)
        Console().print(table)

    return show


def _asked(scope: str, admin_url: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    try:
        client = AdminClient(admin_url)
        said, orders = client.get(f"/v1/{scope}s"), client.get("/v1/orders")["orders"]
    except AdminRefused as refused:
        failed(refused)
    return said, {order["id"]: order for order in orders}


def _order_words(order: dict[str, Any], scope: str) -> str:
    whose = "" if order["target"]["scope"] == scope else f"its {order['target']['scope']}: "
    return f"{whose}{state_words(order)}, by {order['given_by']}"


def _engine_cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = "no link" if not row["is_connected"] else "draining" if row["is_draining"] else "active"
    free = max(0, row["slots_total"] - row["slots_used"]) if state == "active" else 0
    return row["address"], row["pool"], row["capacity"], row["zone"], state, str(free), str(row["slots_total"])


def _pool_cells(row: dict[str, Any]) -> tuple[str, ...]:
    free = max(0, row["slots_total"] - row["slots_used"])
    engines = f"{row['engines_taking']} of {row['engines']}"
    return row["name"], row["capacity"], engines, str(free), str(row["slots_total"])


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


_COLUMNS = {
    "engine": ("engine", "pool", "capacity", "zone", "state", "free", "slots", "order"),
    "pool": ("pool", "capacity", "engines taking", "free", "slots", "order"),
}
_CELLS: dict[str, Callable[[dict[str, Any]], tuple[str, ...]]] = {"engine": _engine_cells, "pool": _pool_cells}
