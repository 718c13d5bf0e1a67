"""`patchbay lab`: whole regions on this machine, and game days in them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from gateway.cli.lab_env import OPERATORS, write_lab_env
from gateway.cli.lab_report import show_report
from regions.lab.drill import ReferenceFailed, over_webtransport, run_drill, stretched, under_bundle
from regions.lab.drill_file import DrillRefused, check_world, find_drills, read_drill
from regions.lab.processes import ProcessFailed
from regions.lab.relays import RelayFailed
from regions.lab.settable_clock import ClockMissing
from regions.lab.world import running_world

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from regions.lab.drill_file import DrillSpec
    from regions.lab.world import World
    from regions.lab.world_spec import WorldSpec

app = typer.Typer(help="Whole regions on this machine, and drills in them.", no_args_is_help=True)

_Folder = Annotated[
    list[Path] | None, typer.Option("--drills", help="Folder with drill files of your own; may be given several times.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Keep = Annotated[Path | None, typer.Option("--keep", help="Keep logs and files of the lab in this empty folder.")]


@app.command("up")
def up(
    regions: Annotated[int, typer.Option(min=1, max=8, help="How many.")] = 3,
    gateways: Annotated[int, typer.Option(min=1, max=8, help="Gateways of each region.")] = 1,
    reserved: Annotated[int, typer.Option(min=0, max=64, help="Reserved engines of each region.")] = 1,
    spot: Annotated[int, typer.Option(min=0, max=64, help="Spot engines of each region.")] = 1,
    engine: Annotated[str, typer.Option(help="scripted: costs and recognises nothing; embedded: the model.")] = (
        "scripted"
    ),
    slots: Annotated[int, typer.Option(min=1, max=1_000, help="Streams at once of each engine.")] = 16,
    zones: Annotated[int, typer.Option(min=1, max=26, help="Zones over which a region's engines are spread.")] = 1,
    delay_ms: Annotated[float, typer.Option(min=0, max=10_000, help="One way, between two regions.")] = 20.0,
    webtransport: Annotated[
        bool,
        typer.Option(
            "--webtransport/--no-webtransport", help="Serve WebTransport too, with certificates of the lab's."
        ),
    ] = False,
    env: Annotated[
        Path | None, typer.Option(help="Write addresses and tokens to this file, for a shell to read with `.`.")
    ] = None,
    keep: _Keep = None,
    as_json: _Json = False,
) -> None:
    """Start whole regions, joined by links with delay, and keep them running until Ctrl-C.

    Exit codes: 0 stopped; 64 wrong command line; 69 the regions would not start.
    """
    try:
        world = check_world(
            {
                "regions": regions,
                "gateways": gateways,
                "reserved": reserved,
                "spot": spot,
                "engine": engine,
                "slots": slots,
                "zones": zones,
                "network": {"region": {"delay_ms": delay_ms}},
                "webtransport": webtransport,
            }
        )
    except DrillRefused as refused:
        _refuse(refused.mistakes)
    with _folder(keep) as folder:
        _run(_keep_up(world, folder, env, is_json=as_json))


@app.command("list")
def list_drills(drills: _Folder = None, as_json: _Json = False) -> None:
    """List the drills. Exit code 65 if one of the files cannot be used."""
    found: dict[str, str] = {}
    mistakes: list[str] = []
    for name, path in find_drills(drills or []).items():
        try:
            found[name] = read_drill(path).summary
        except DrillRefused as refused:
            mistakes += [f"{path}: {mistake}" for mistake in refused.mistakes]
    if as_json:
        print(json.dumps(found))
    else:
        table = Table(show_header=False, box=None)
        for name, summary in found.items():
            table.add_row(f"[bold]{name}", summary)
        Console().print(table)
    for mistake in mistakes:
        sys.stderr.write(f"{mistake}\n")
    if mistakes:
        raise typer.Exit(ExitCode.data_rejected)


@app.command("validate")
def validate(file: Annotated[Path, typer.Argument(help="Drill file (TOML).")]) -> None:
    """Check a drill file. Exit code 65, with every mistake listed, if it cannot be used."""
    try:
        drill = read_drill(file)
    except DrillRefused as refused:
        _refuse(refused.mistakes, ExitCode.data_rejected)
    print(f"{drill.name}: {drill.summary}")


@app.command("drill")
def drill(
    name: Annotated[str, typer.Argument(help="A name that `lab list` shows, or a drill file.")],
    drills: _Folder = None,
    scale: Annotated[float, typer.Option(min=0.1, max=1_000, help="So many times as long, and as many faults.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is random.")] = 1,
    residency: Annotated[bool, typer.Option("--residency", help="With its policy sets as a signed bundle.")] = False,
    webtransport: Annotated[
        bool, typer.Option("--webtransport", help="All callers speak WebTransport, and WebSocket where it is lost.")
    ] = False,
    keep: _Keep = None,
    as_json: _Json = False,
) -> None:
    """Run a drill and report what it came to.

    Exit codes: 0 it passed; 1 it did not; 64 no such drill; 65 the drill file is wrong; 69 the regions would not start.
    """
    spec = stretched(_find(name, drills or []), scale)
    if residency:
        try:
            spec = under_bundle(spec)
        except ValueError:
            _refuse([f"{name}: --residency is for drills of several regions with scripted engines"])
    if webtransport:
        spec = over_webtransport(spec)
    with _folder(keep) as folder:
        report: dict[str, Any] = _run(run_drill(spec, folder, seed=seed, say=_say))
    if as_json:
        print(json.dumps(report))
    else:
        show_report(report, Console())
    raise typer.Exit(ExitCode.ok if report["passed"] else ExitCode.differs)


def _find(name: str, folders: list[Path]) -> DrillSpec:
    known = find_drills(folders)
    path = known.get(name, Path(name))
    if name not in known and not path.is_file():
        sys.stderr.write(f"no drill is named {name}; there are {', '.join(known)}\n")
        raise typer.Exit(ExitCode.usage)
    try:
        return read_drill(path)
    except DrillRefused as refused:
        _refuse(refused.mistakes, ExitCode.data_rejected)


def _refuse(mistakes: list[str], code: ExitCode = ExitCode.usage) -> NoReturn:
    for mistake in mistakes:
        sys.stderr.write(f"{mistake}\n")
    raise typer.Exit(code)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="patchbay-lab-", ignore_cleanup_errors=True) as scratch:
            yield Path(scratch)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        _refuse([f"{keep} is not empty"])
    yield keep.resolve()


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except (ProcessFailed, RelayFailed, ReferenceFailed, ClockMissing, OSError) as failed:
        sys.stderr.write(f"{failed}\n")
        raise typer.Exit(ExitCode.unavailable) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.interrupted) from None


async def _keep_up(spec: WorldSpec, folder: Path, env: Path | None, *, is_json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_world(spec, folder) as world:
        ready = _described(world)
        if env is not None:
            write_lab_env(env, ready)
        if is_json:
            print(json.dumps(ready), flush=True)
        else:
            _show(ready)
        await stop.wait()


def _described(world: World) -> dict[str, Any]:
    members = world.table.members
    return {
        "regions": {
            name: {
                "websockets": world.websockets(name),
                **_webtransport(world, name),
                "admin": world.admins(name),
                "redis": region.redis_url,
                "processes": {
                    member: process.pid for member, process in members.items() if member.split("/")[1] == name
                },
            }
            for name, region in world.regions.items()
        },
        "token": world.token(subject="lab"),
        "operator_tokens": {subject: world.operator_token(subject) for subject in OPERATORS},
        "metrics": world.metrics_urls(),
        "folder": str(world.folder),
    }


def _webtransport(world: World, region: str) -> dict[str, Any]:
    """Nothing where the world has none."""
    if region not in world.certificates:
        return {}
    served = world.webtransports()
    return {
        "webtransports": [served[url] for url in world.websockets(region)],
        "webtransport_certificate_sha256": world.certificates[region].sha256,
    }


def _show(ready: dict[str, Any]) -> None:
    console = Console()
    table = Table(box=None)
    for column in ("region", "gateways", "admin", "processes"):
        table.add_column(column, overflow="fold")
    for name, region in ready["regions"].items():
        processes = ", ".join(f"{member.split('/', 2)[-1]} {pid}" for member, pid in region["processes"].items())
        gateways = "\n".join([*region["websockets"], *region.get("webtransports", [])])
        table.add_row(f"[bold]{name}", gateways, "\n".join(region["admin"]), processes)
    console.print(table)
    for name, region in ready["regions"].items():
        if "webtransports" in region:
            sha256 = region["webtransport_certificate_sha256"]
            console.print(f"certificate of {name} {sha256}", highlight=False, soft_wrap=True)
    console.print(f"token {ready['token']}", highlight=False, soft_wrap=True)
    for subject, token in ready["operator_tokens"].items():
        console.print(f"operator {subject} {token}", highlight=False, soft_wrap=True)
    console.print("Stop them: Ctrl-C", highlight=False)
