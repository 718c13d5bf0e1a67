"""`patchbay token`: a token of this machine's development key; and below it, what is done to tokens of others."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Annotated, Any

import typer

from gateway.cli import revocations
from gateway.cli.console_link import NoConsole, console_link
from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import DevClaims, DevKeysRefused, create_or_load, state_directory

app = typer.Typer(help="Print a development token; revoke tokens.", invoke_without_command=True)
app.command("revoke")(revocations.revoke)
app.add_typer(revocations.app, name="revocations")


@app.callback()
def token(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Who the token says is calling.")] = "dev",
    project: Annotated[str, typer.Option(help="Project within the tenant.")] = "",
    subject: Annotated[str, typer.Option(help="Which of the tenant's keys: the claim `sub`.")] = DevClaims().subject,
    plan: Annotated[str, typer.Option(help="The plan that the token names.")] = "",
    jti: Annotated[str, typer.Option(help="The token's own name, by which it can be revoked.")] = "",
    residency: Annotated[str, typer.Option(help="The residency profile that the token names.")] = "",
    claim: Annotated[
        list[str] | None, typer.Option(help="Another claim, NAME=VALUE; may be given several times.")
    ] = None,
    ttl_s: Annotated[int, typer.Option("--ttl", help="Seconds until it expires.")] = 3_600,
    scope: Annotated[list[str] | None, typer.Option(help="Scopes; may be given several times.")] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Print the address of the console here, with the token in it.")
    ] = False,
) -> None:
    """Print a development token, which `patchbay up` on this machine accepts."""
    if context.invoked_subcommand is not None:
        return
    try:
        state = state_directory(os.environ)
        keys = create_or_load(state)
        scopes = tuple(scope) if scope else DevClaims().scopes
        claims = DevClaims(
            tenant=tenant,
            project=project,
            subject=subject,
            plan=plan,
            residency=residency,
            scopes=scopes,
            jti=jti,
            more=dict(map(_claim, claim or ())),
        )
        text = keys.mint(claims, ttl_s=ttl_s, now_s=int(time.time()))
        if link:
            text = console_link(state, text)
    except NoConsole as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(ExitCode.unavailable) from None
    except (DevKeysRefused, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(ExitCode.usage) from None
    except OSError as error:
        sys.stderr.write(f"cannot keep the development key: {error.strerror}: {error.filename}\n")
        raise typer.Exit(ExitCode.internal) from None
    print(text)


def _claim(text: str) -> tuple[str, Any]:
    """`consent=true`, `data_class=phi`: JSON where it is any, else the text itself. Raises ValueError."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError(f"--claim {text}: say NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
