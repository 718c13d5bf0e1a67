"""`patchbay up`: a whole region on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.cli.up_webtransport import webtransport_settings
from gateway.dev_certificates import DevCertificateRefused
from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, DevKeysRefused, create_or_load, state_directory
from gateway.region_plan import EnginePlan, RegionPlan
from gateway.residency.grants import GrantKeyUnusable
from gateway.settings import SettingsRefused, as_environment, load, read_tree
from gateway.supervisor import RegionFailed, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.settings import GatewaySettings

_PORTS = ("http", "grpc", "admin")
"""Sections of the settings, in the order of their ports."""
_HIGHEST_PORT = 65_532
"""gRPC, metrics and WebTransport take the three after it."""


def up(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=_HIGHEST_PORT,
            help="HTTP and WebSocket; gRPC, metrics and WebTransport (UDP) take the next three. 0: any. "
            "Default: the settings', else 8080, 8081, 8082 and 4433.",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: the settings', else 127.0.0.1.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file of the gateway (TOML).")] = None,
    engines: Annotated[int, typer.Option(min=1, max=64, help="Engine processes.")] = 1,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Model folder or file; may be given several times. Default: the embedded model."),
    ] = None,
    model_folder: Annotated[
        list[Path] | None,
        typer.Option(help="`patchbay models load` may load from this folder; may be given several times."),
    ] = None,
    slots: Annotated[int, typer.Option(min=1, max=10_000, help="Streams at once per engine and model.")] = 64,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of one model step.")] = 1,
    scripted: Annotated[
        bool, typer.Option("--scripted", help="Engines that recognise nothing and cost nothing.", hidden=True)
    ] = False,
    redis: Annotated[
        bool,
        typer.Option(help="Start a Redis for the region's limits, unless the settings name one."),
    ] = True,
    exporter: Annotated[
        bool,
        typer.Option(help="Start the exporter of usage events; without sinks in the settings it writes files."),
    ] = True,
    webtransport: Annotated[
        bool,
        typer.Option(help="Serve WebTransport, with a development certificate unless the settings name one."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when ready.")] = False,
    log_file: Annotated[str, typer.Option(help="Where logs go; `-` is standard error.")] = "",
) -> None:
    """Start a gateway, its engines, a Redis and an exporter on this machine and keep them running until Ctrl-C.

    Callers need a token: `patchbay token` prints one of this machine's development key, which is trusted unless the
    settings name issuers of their own.

    Exit codes: 0 stopped; 64 wrong settings; 65 the model was refused; 69 a port is taken; 70 a fault of ours.
    """
    state = state_directory(os.environ)
    arguments = ["--slots", str(slots), "--threads", str(threads)]
    for path in model or ():
        arguments += ["--model", str(path.resolve())]
    for path in model_folder or ():
        arguments += ["--model-folder", str(path.resolve())]
    if scripted:
        arguments += ["--recogniser", "scripted"]
    try:
        over, renew = _webtransport(state, host, port, config) if webtransport else ({"webtransport": None}, None)
        settings, checked = _gateway_settings(state, host, port, config, over)
    except SettingsRefused as refused:
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong setting: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None
    except (DevKeysRefused, DevCertificateRefused, OSError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(ExitCode.usage) from None
    logs = None if log_file == "-" else Path(log_file) if log_file else state / "up.log"
    given = read_tree(config, os.environ)
    plan = RegionPlan(
        checked.region,
        EnginePlan(count=engines, arguments=arguments),
        settings,
        config,
        state,
        logs,
        has_redis=redis and not _names(given, "limits", "redis"),
        has_exporter=exporter and (redis or _names(given, "limits", "redis")),
        metering=given["metering"] if _names(given, "metering", "sinks") else None,
        has_decision_log="decision_log" in given,
        makes_grant_keys=_names(given, "residency", "bundle") and not _names(given, "residency", "grants"),
        grant_keys=_grant_keys(given),
        has_resume_keys=_names(given, "resumption", "keys") or _names(given, "resumption", "key_file"),
        makes_webtransport_secret=checked.webtransport is not None and checked.webtransport.secret_file is None,
        has_any_webtransport_port=checked.webtransport is not None and not checked.webtransport.port,
        renew_certificate=renew,
    )
    try:
        asyncio.run(_run(Supervisor(plan), logs, is_json=as_json))
    except RegionFailed as failed:
        sys.stderr.write(f"{failed}\n")
        raise typer.Exit(failed.exit_code) from None
    except (OSError, GrantKeyUnusable) as error:
        sys.stderr.write(f"cannot keep the state or the log of the region: {error}\n")
        raise typer.Exit(ExitCode.internal) from None


def _webtransport(
    state: Path, host: str | None, port: int | None, config: Path | None
) -> tuple[dict[str, Any], Callable[[], str] | None]:
    after_metrics = port + len(_PORTS) if port else port
    return webtransport_settings(read_tree(config, os.environ), state, host=host, port=after_metrics)


def _gateway_settings(
    state: Path, host: str | None, port: int | None, config: Path | None, over: dict[str, Any]
) -> tuple[dict[str, Any], GatewaySettings]:
    """What goes over the file and the environment, and what they all say together. Raises SettingsRefused."""
    settings = dict(over)
    for offset, name in enumerate(_PORTS):
        if host is not None and name != "admin":
            settings[f"{name}__host"] = host
        if port is not None:
            settings[f"{name}__port"] = port + offset if port else 0
    tokens = read_tree(config, os.environ).get("tokens", {})
    if isinstance(tokens, dict) and "issuers" not in tokens:
        issuer = {
            "issuer": DEV_ISSUER,
            "audience": DEV_AUDIENCE,
            "algorithms": [DEV_ALGORITHM],
            "static_keys": create_or_load(state).jwks()["keys"],
        }
        settings["tokens__issuers"] = [issuer]
    # The supervisor knows addresses and folders only once it runs; all else is checked before anything starts.
    known_later: dict[str, Any] = {"engines__addresses": ["unix:engine.sock"]}
    tree = read_tree(config, os.environ)
    if _names(tree, "metering", "sinks") and "state_directory" not in tree["metering"]:
        known_later["metering__state_directory"] = str(state)
    checked = load(config, {**os.environ, **as_environment(settings | known_later)})
    return settings, checked


def _grant_keys(tree: dict[str, Any]) -> Path | None:
    """Whose grants engines take, where the settings say so."""
    if not _names(tree, "residency", "grants") or not isinstance(tree["residency"]["grants"], dict):
        return None
    directory = tree["residency"]["grants"].get("keys_directory")
    return None if directory is None else Path(directory)


def _names(tree: dict[str, Any], section: str, name: str) -> bool:
    """Whether the settings say something of it."""
    part = tree.get(section)
    return isinstance(part, dict) and bool(part.get(name))


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
    for name in ("websocket", "webtransport", "grpc", "http", "metrics", "console"):
        if name in ready:
            table.add_row(f"[bold]{name}", ready[name])
    for engine in ready["engines"]:
        table.add_row("[bold]engine", f"pool {engine['pool']}, pid {engine['pid']}")
    if "usage" in ready:
        table.add_row("[bold]usage", ready["usage"])
    if logs is not None:
        table.add_row("[bold]logs", str(logs))
    console.print(table)
    console.print("Speak to it: [bold]patchbay transcribe FILE[/]   Stop it: Ctrl-C", highlight=False)
    if "console" in ready:
        console.print("In a browser: the address that [bold]patchbay token --link[/] prints", highlight=False)
