"""`patchbay token`: a token of this machine's development key; and below it, what is done to tokens of others."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

from gateway.cli import revocations
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
    ttl_s: Annotated[int, typer.Option("--ttl", help="Seconds until it expires.")] = 3_600,
    scope: Annotated[list[str] | None, typer.Option(help="Scopes; may be given several times.")] = None,
) -> None:
    """Print a development token, which `patchbay up` on this machine accepts."""
    if context.invoked_subcommand is not None:
        return
    try:
        keys = create_or_load(state_directory(os.environ))
        scopes = tuple(scope) if scope else DevClaims().scopes
        claims = DevClaims(tenant=tenant, project=project, subject=subject, plan=plan, scopes=scopes, jti=jti)
        text = keys.mint(claims, ttl_s=ttl_s, now_s=int(time.time()))
    except (DevKeysRefused, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(ExitCode.usage) from None
    except OSError as error:
        sys.stderr.write(f"cannot keep the development key: {error.strerror}: {error.filename}\n")
        raise typer.Exit(ExitCode.internal) from None
    print(text)
