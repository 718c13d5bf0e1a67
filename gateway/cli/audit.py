"""`patchbay audit`: what operators did in a region, and the log of decisions: verified, exported, its keys made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gateway.cli import audit_export, audit_keygen, audit_verify
from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.order_commands import AdminUrl
from gateway.cli.order_shown import instant, narrow_table

if TYPE_CHECKING:
    from rich.table import Table


app = typer.Typer()
app.command("verify")(audit_verify.verify)
app.command("export")(audit_export.export)
app.command("keygen")(audit_keygen.keygen)


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="So many, the newest.", min=1, max=1_000)] = 50,
    admin_url: AdminUrl = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what operators did in a region, and what was refused to them, the newest last; or, with a command, work on
    a log of decisions.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        said = AdminClient(admin_url).get("/v1/audit", limit=limit)
    except AdminRefused as refused:
        failed(refused)
    if as_json:
        print(json.dumps(said))
        return
    console = Console()
    console.print(_table(said["events"][::-1]) if said["events"] else f"nobody did anything in {said['here']} yet")
    if not said["is_complete"]:
        console.print("WARNING: Redis does not answer: these are only what waits in this gateway's own file.")


def _table(events: list[dict[str, Any]]) -> Table:
    table = narrow_table("when", "who", "what", "target", "outcome", "why", "order")
    for event in events:
        times = f" ({event['times']} times)" if event["times"] > 1 else ""
        what = f"{event['act']} {event['kind']}".strip()
        table.add_row(
            instant(event["at_unix_ms"]),
            event["who"] or "nobody known",
            what,
            event["target"],
            ("REFUSED: " if event["is_refused"] else "") + event["outcome"] + times,
            event["why"],
            event["order_id"],
        )
    return table
