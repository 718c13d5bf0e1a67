"""The `patchbay` command."""

from __future__ import annotations

import typer

from gateway.cli import (
    audit,
    capacity,
    config,
    engine,
    lab,
    models,
    plans,
    pool,
    region,
    route,
    simulate,
    token,
    transcribe,
    up,
    usage,
)
from gateway.cli.exit_codes import ExitCode

_TYPERS_USAGE_CODE = 2

app = typer.Typer(
    name="patchbay",
    help="An edge-to-cloud gateway for streaming speech recognition.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold tokens
)
app.command("up")(up.up)
app.add_typer(token.app, name="token")
app.command("transcribe")(transcribe.transcribe)
app.command("audit")(audit.audit)
app.add_typer(capacity.app, name="capacity")
app.add_typer(config.app, name="config")
app.add_typer(engine.app, name="engine")
app.add_typer(models.app, name="models")
app.add_typer(plans.app, name="plans")
app.add_typer(pool.app, name="pool")
app.add_typer(region.app, name="region")
app.add_typer(route.app, name="route")
app.add_typer(usage.app, name="usage")
app.add_typer(lab.app, name="lab")
app.add_typer(simulate.app, name="simulate")


def main() -> None:
    try:
        app()
    except SystemExit as ended:
        if ended.code == _TYPERS_USAGE_CODE:
            raise SystemExit(ExitCode.usage) from None
        raise
