"""`patchbay config`: check, show and explain the settings of a gateway."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.settings import GatewaySettings, SettingsRefused, load, shown

app = typer.Typer(help="Check, show and explain the settings of a gateway.", no_args_is_help=True)

File = Annotated[Path | None, typer.Argument(help="Settings file (TOML); the environment goes over it.")]


@app.command()
def check(file: File = None) -> None:
    """Say every mistake in the settings; exit 64 if there is one."""
    _load(file)
    print("the settings are good")


@app.command()
def show(file: File = None) -> None:
    """Print the settings in force as JSON, defaults included; secrets are stars."""
    print(json.dumps(shown(_load(file)), indent=2))


@app.command()
def schema() -> None:
    """Print the JSON schema of the settings."""
    print(json.dumps(GatewaySettings.model_json_schema(), indent=2))


def _load(file: Path | None) -> GatewaySettings:
    try:
        return load(file, os.environ)
    except SettingsRefused as refused:
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong setting: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None
