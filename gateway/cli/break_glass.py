"""`patchbay break-glass`: emergency permissions, asked for by one person, confirmed by another, and closed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_commands import AdminUrl, Token
from gateway.cli.order_shown import instant, narrow_table

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    help="Emergency permissions: asked for, confirmed by a second person, listed and closed.", no_args_is_help=True
)
Id = Annotated[str, typer.Argument(help="The permission's id, as `list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("open")
def open_permission(
    project: Annotated[str, typer.Option(help="ORG/PROJECT, or ORG/* for each project of an org.")],
    action: Annotated[list[str], typer.Option(help="What is to be done, such as support_access; once for each.")],
    region: Annotated[list[str], typer.Option(help="Where; once for each.")],
    ticket: Annotated[str, typer.Option(help="Where the emergency is written down.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the permission and in every log.")],
    minutes: Annotated[int, typer.Option(help="How long it lasts, once it is confirmed.", min=1)] = 60,
    token: Token = "",
    admin_url: AdminUrl = "",
    as_json: AsJson = False,
) -> None:
    """Ask for an emergency permission; somebody else has to confirm it."""
    body = {
        "project": project,
        "actions": action,
        "regions": region,
        "ticket": ticket,
        "reason": reason,
        "minutes": minutes,
    }
    answer = _posted("/v1/break-glass", body, token, admin_url)
    permission = answer["permission"]
    if as_json:
        print(json.dumps(answer))
    else:
        print(f"NOTHING IS OPEN YET: a second person has to confirm {permission['id']} within 15 minutes.")
        print(f"  somebody else, with a token of their own:  patchbay break-glass confirm {permission['id']}")
        print(f"  to take it back:                           patchbay break-glass close {permission['id']}")
    raise typer.Exit(ExitCode.not_yet)


@app.command("confirm")
def confirm(permission: Id, token: Token = "", admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
    """Confirm, as a second person, what another one asked for."""
    answer = _posted(f"/v1/break-glass/{permission}/confirm", {}, token, admin_url)
    if as_json:
        print(json.dumps(answer))
        return
    said = answer["permission"]
    print(f"OPEN until {instant(said['not_after_unix_s'] * 1_000)}: {_what(said)}, for {said['person']}")
    print(f"  every use of it is told; to end it: patchbay break-glass close {said['id']}")


@app.command("close")
def close(permission: Id, token: Token = "", admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
    """End an emergency permission before its time."""
    answer = _posted(f"/v1/break-glass/{permission}/close", {}, token, admin_url)
    print(json.dumps(answer) if as_json else f"{permission} covers nothing any more: {answer['outcome']}")


@app.command("list")
def list_permissions(admin_url: AdminUrl = "", as_json: AsJson = False) -> None:
    """Show the emergency permissions that stand."""
    try:
        said = AdminClient(admin_url).get("/v1/break-glass")
    except AdminRefused as refused:
        failed(refused)
    if as_json:
        print(json.dumps(said))
        return
    console = Console()
    console.print(_table(said["permissions"]) if said["permissions"] else f"none stands in {said['here']}")
    if said["store"] == "away":
        console.print("WARNING: the region's Redis does not answer: these are what this gateway knows.")


def _posted(path: str, body: dict[str, Any], token: str, admin_url: str) -> dict[str, Any]:
    try:
        return AdminClient(admin_url, token, scope="break-glass").post(path, body)
    except AdminRefused as refused:
        failed(refused)


def _table(permissions: list[dict[str, Any]]) -> Table:
    table = narrow_table("id", "state", "until", "what", "person", "confirmed by", "ticket", "why")
    for one in permissions:
        ends = one["not_after_unix_s"]
        table.add_row(
            one["id"],
            one["state"],
            "a second person confirms it" if ends is None else instant(ends * 1_000),
            _what(one),
            one["person"],
            one["approver"],
            one["ticket"],
            one["reason"],
        )
    return table


def _what(permission: dict[str, Any]) -> str:
    return f"{', '.join(permission['actions'])} of {permission['project']} in {', '.join(permission['regions'])}"
