"""`patchbay transcripts`: what a region stores, its words in an emergency, a subject erased, and its key file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gateway.cli.admin_client import AdminClient, AdminRefused, failed
from gateway.cli.exit_codes import ExitCode
from gateway.cli.order_commands import AdminUrl, Token
from gateway.cli.order_shown import instant, narrow_table

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Words that projects asked to be stored: listed, read, erased.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_sessions(
    project: Annotated[str, typer.Option(help="Only those of ORG/PROJECT.")] = "",
    token: Token = "",
    admin_url: AdminUrl = "",
    as_json: AsJson = False,
) -> None:
    """List the sessions of which words are stored; no words, and subjects as pseudonyms."""
    try:
        client = AdminClient(admin_url, token, scope="support")
        said = client.get_secret("/v1/transcripts", **({"project": project} if project else {}))
    except AdminRefused as refused:
        failed(refused)
    if as_json:
        print(json.dumps(said))
        return
    console = Console()
    if not said["sessions"]:
        console.print(f"nothing is stored in {said['here']}", markup=False)
        return
    table = narrow_table("session", "project", "began", "kept until", "class", "subject")
    for one in said["sessions"]:
        table.add_row(
            one["session"],
            one["project"],
            instant(one["begun_at_unix_s"] * 1_000),
            instant(one["keep_until_unix_s"] * 1_000),
            one["data_class"],
            one["subject"],
        )
    console.print(table)
    if said["left_out"]:
        console.print(f"{said['left_out']} older ones are not shown", markup=False)


@app.command("show")
def show(
    session: Annotated[str, typer.Argument(help="The session's id.")],
    from_region: Annotated[
        str, typer.Option("--from", help="The region that you are in. Default: the gateway's.")
    ] = "",
    token: Token = "",
    admin_url: AdminUrl = "",
    as_json: AsJson = False,
) -> None:
    """Show the words of a session. Needs an emergency permission of your own, and is written down with its ticket."""
    try:
        client = AdminClient(admin_url, token, scope="support")
        said = client.get_secret(f"/v1/transcripts/{session}", **({"from": from_region} if from_region else {}))
    except AdminRefused as refused:
        failed(refused)
    if as_json:
        print(json.dumps(said))
        return
    console = Console()
    for piece in said["pieces"]:
        table = narrow_table("at", "words")
        for one in piece["finals"]:
            table.add_row(f"{one['start_ms'] / 1_000:.1f} s", one["text"])
        console.print(table)
        if not piece["is_complete"]:
            console.print("some of it is missing, or the session goes on", markup=False)
    console.print(f"this look is on record: {said['ticket']}, permission {said['permission']}", markup=False)


@app.command("erase")
def erase(
    project: Annotated[str, typer.Option(help="ORG/PROJECT, or ORG/* for each project of an org.")],
    subject: Annotated[str, typer.Option(help="The subject's id, as its callers give it.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit log.")],
    token: Token = "",
    admin_url: AdminUrl = "",
    as_json: AsJson = False,
) -> None:
    """Destroy the key of a subject and all of its stored words. It cannot be undone; a legal hold forbids it."""
    body = {"project": project, "subject_id": subject, "reason": reason}
    try:
        said = AdminClient(admin_url, token, scope="erase").post("/v1/transcripts/erase", body)
    except AdminRefused as refused:
        failed(refused)
    is_held = any(one["kept_because"] for one in said["projects"])
    if as_json:
        print(json.dumps(said))
    elif not said["projects"]:
        print(f"nothing of this subject is stored in {said['here']}")
    else:
        Console().print(_erased(said["projects"]))
    if is_held:
        raise typer.Exit(ExitCode.not_yet)


@app.command("make-key")
def make_key(
    file: Annotated[Path, typer.Argument(help="The region's key file; made, or given a new current key.")],
) -> None:
    """Make a region's key file, or put a new current key into it. Gateways take it up when they start again."""
    from gateway.transcripts.region_keys import KeysRefused, add_key

    try:
        name = add_key(file)
    except (KeysRefused, OSError) as error:
        failed(AdminRefused(str(error), ExitCode.no_input))
    print(f"{file}: the current key is {name}. Keep it apart from the words and from their backups.")


def _erased(projects: list[dict[str, str | int]]) -> Table:
    table = narrow_table("project", "pieces erased", "kept because")
    for one in projects:
        table.add_row(str(one["project"]), str(one["pieces"]), str(one["kept_because"]))
    return table
