"""`patchbay up`: a whole region on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, DevKeysRefused, create_or_load, state_directory
from gateway.supervisor import ChildFailed, EnginePlan, RegionPlan, Supervisor


def up(
    port: Annotated[
        int, typer.Option(help="HTTP and WebSocket; gRPC is the next port, metrics the one after. 0: any.")
    ] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    config: Annotated[Path | None, typer.Option(help="Settings file of the gateway (TOML).")] = None,
    engines: Annotated[int, typer.Option(min=1, max=64, help="Engine processes.")] = 1,
    model: Annotated[Path | None, typer.Option(help="Model folder or file; default: the embedded model.")] = None,
    slots: Annotated[int, typer.Option(min=1, max=10_000, help="Streams at once per engine.")] = 64,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of one model step.")] = 1,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Engines that recognise nothing and cost nothing.", hidden=True)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready.")] = False,
    log_file: Annotated[str, typer.Option(help="Where logs go; `-` is standard error.")] = "",
) -> None:
    """Start a gateway and its engines on this machine and keep them running until Ctrl-C.

    Callers need a token: `patchbay token` prints one of this machine's development key, which is trusted unless the
    settings file names issuers of its own.
    """
    state = state_directory(os.environ)
    arguments = ["--slots", str(slots), "--threads", str(threads)]
    if model is not None:
        arguments += ["--model", str(model.resolve())]
    if scripted:
        arguments += ["--recogniser", "scripted"]
    try:
        settings = _gateway_settings(state, host, port, config)
    except (DevKeysRefused, OSError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(ExitCode.usage) from None
    logs = None if log_file == "-" else Path(log_file) if log_file else state / "up.log"
    plan = RegionPlan(EnginePlan(count=engines, arguments=arguments), settings, config, state, logs)
    try:
        asyncio.run(_run(Supervisor(plan), logs, is_json=as_json))
    except ChildFailed as failed:
        sys.stderr.write(f"{failed}\n")
        raise typer.Exit(failed.exit_code) from None


def _gateway_settings(state: Path, host: str, port: int, config: Path | None) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for offset, name in enumerate(("http", "grpc", "admin")):
        settings[f"{name}__host"] = host if name != "admin" else "127.0.0.1"
        settings[f"{name}__port"] = port + offset if port else 0
    if config is None or "[tokens" not in config.read_text(encoding="utf-8"):
        issuer = {
            "issuer": DEV_ISSUER,
            "audience": DEV_AUDIENCE,
            "algorithms": [DEV_ALGORITHM],
            "static_keys": create_or_load(state).jwks()["keys"],
        }
        settings["tokens__issuers"] = [issuer]
    return settings


async def _run(supervisor: Supervisor, logs: Path | None, *, is_json: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)

    def show(ready: dict[str, Any]) -> None:
        if is_json:
            print(json.dumps(ready), flush=True)
        else:
            _show_table(ready, logs)

    await supervisor.run(show)


def _show_table(ready: dict[str, Any], logs: Path | None) -> None:
    console = Console()
    table = Table(show_header=False, box=None)
    for name in ("websocket", "grpc", "http", "metrics"):
        table.add_row(f"[bold]{name}", ready[name])
    for engine in ready["engines"]:
        table.add_row("[bold]engine", f"pool {engine['pool']}, pid {engine['pid']}")
    if logs is not None:
        table.add_row("[bold]logs", str(logs))
    console.print(table)
    console.print("Speak to it: [bold]patchbay transcribe FILE[/]   Stop it: Ctrl-C", highlight=False)
