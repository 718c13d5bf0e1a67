"""The `patchbay` command."""

from __future__ import annotations

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.lazy_commands import LazyCommands

_TYPERS_USAGE_CODE = 2


class _Commands(LazyCommands):
    places = {  # noqa: RUF012 - a mapping that nobody changes
        "up": "gateway.cli.up:up",
        "token": "gateway.cli.token:app",
        "transcripts": "gateway.cli.transcripts:app",
        "transcribe": "gateway.cli.transcribe:transcribe",
        "audit": "gateway.cli.audit:app",
        "break-glass": "gateway.cli.break_glass:app",
        "capacity": "gateway.cli.capacity:app",
        "certificate": "gateway.cli.certificate:app",
        "config": "gateway.cli.config:app",
        "engine": "gateway.cli.engine:app",
        "models": "gateway.cli.models:app",
        "plans": "gateway.cli.plans:app",
        "policy": "gateway.cli.policy.commands:policy_app",
        "pool": "gateway.cli.pool:app",
        "region": "gateway.cli.region:app",
        "route": "gateway.cli.route:app",
        "usage": "gateway.cli.usage:app",
        "lab": "gateway.cli.lab:app",
        "simulate": "gateway.cli.simulate:app",
    }


app = typer.Typer(
    name="patchbay",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold tokens
)


@app.callback()
def patchbay() -> None:
    """An edge-to-cloud gateway for streaming speech recognition."""


def main() -> None:
    try:
        app()
    except SystemExit as ended:
        if ended.code == _TYPERS_USAGE_CODE:
            raise SystemExit(ExitCode.usage) from None
        raise
