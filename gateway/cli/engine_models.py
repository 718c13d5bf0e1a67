"""`patchbay models load`, `unload` and `share`, and `list --engine`: the models of a running engine."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from engines.proto import engine_pb2
from gateway.cli.engine_admin import EngineRefused, engine_admin
from gateway.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.cli.engine_admin import EngineAdmin

_POLL_S = 0.25
_GONE_WITHIN_S = 10.0
"""After its deadline a model has no streams: what is left is the engine's own work."""

Engine = Annotated[
    str,
    typer.Option(
        help="unix:/path or host:port of an engine, or its number in the region that `patchbay up` runs here."
    ),
]
Name = Annotated[str, typer.Argument(help="The model's name.")]
Version = Annotated[str, typer.Argument(help="Its version, as `patchbay models list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show_loaded(engine: str, *, as_json: bool) -> None:
    """Print what an engine has loaded."""
    try:
        with engine_admin(engine) as admin:
            description = admin.describe()
    except EngineRefused as refused:
        fail(refused)
    _show(description.models, as_json=as_json)


def load(
    path: Annotated[Path, typer.Argument(help="The model on the engine's machine, in a folder it was allowed.")],
    engine: Engine = "0",
    slots: Annotated[int, typer.Option(min=0, max=10_000, help="Streams at once; 0: as the engine's others.")] = 0,
    share: Annotated[float, typer.Option(min=0, max=100, help="Percent of the new sessions of its name.")] = 0.0,
    timeout_s: Annotated[int, typer.Option(min=1, max=86_400, help="How long it may take to warm up.")] = 600,
    as_json: AsJson = False,
) -> None:
    """Load a model beside those that an engine has, and warm it up; sessions go on meanwhile.

    Exit codes: 0 it takes sessions; 64 wrong command line; 65 the model was refused or is there already; 69 no engine,
    or it is busy loading; 70 the model failed; 77 the engine may not load from there.
    """
    request = engine_pb2.LoadModelRequest(path=str(path.absolute()), slots=slots, share_permille=_permille(share))
    try:
        with engine_admin(engine) as admin, _Waiting(f"warming up {path.name}"):
            state = admin.load(request, timeout_s=timeout_s)
    except EngineRefused as refused:
        fail(refused)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.interrupted) from None
    _show([state], as_json=as_json)


def unload(
    name: Name,
    version: Version,
    engine: Engine = "0",
    deadline_s: Annotated[
        int, typer.Option(min=0, max=86_400, help="Sessions may stay so long; then they are handed back.")
    ] = 600,
    wait: Annotated[bool, typer.Option(help="Wait until the model is gone.")] = True,
    as_json: AsJson = False,
) -> None:
    """Take no new sessions for a version of a model; it goes when its last session has left it.

    Exit codes: 0 it is gone, or with --no-wait going; 64 wrong command line; 65 it is not there, or the last one;
    69 no engine, or it is still there after its deadline; 130 Ctrl-C: it goes all the same.
    """
    request = engine_pb2.UnloadModelRequest(name=name, version=version, deadline_ms=deadline_s * 1_000)
    try:
        with engine_admin(engine) as admin, _Waiting(f"{name} {version} is leaving") as waiting:
            state = admin.unload(request)
            if wait:
                _until_gone(admin, request, waiting)
    except EngineRefused as refused:
        fail(refused)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.interrupted) from None
    if as_json:
        print(json.dumps(_row(state) | {"is_gone": wait}))
    elif wait:
        print(f"{name} {version} is gone")
    else:
        print(f"{name} {version} takes no new sessions; {state.load.slots_used} are open")


def share(
    name: Name,
    version: Version,
    percent: Annotated[float, typer.Argument(min=0, max=100, help="Of the new sessions of this name.")],
    engine: Engine = "0",
    as_json: AsJson = False,
) -> None:
    """Give one version of a model a share of the new sessions; the other versions share the rest as before.

    Exit codes: 0 done; 64 wrong command line; 65 it is not there; 69 no engine.
    """
    request = engine_pb2.ShareTrafficRequest(name=name, version=version, share_permille=_permille(percent))
    try:
        with engine_admin(engine) as admin:
            description = admin.share(request)
    except EngineRefused as refused:
        fail(refused)
    _show([state for state in description.models if state.load.name == name], as_json=as_json)


def fail(refused: EngineRefused) -> NoReturn:
    sys.stderr.write(f"{refused}\n")
    raise typer.Exit(refused.exit_code) from None


def _permille(percent: float) -> int:
    permille = round(percent * 10)
    if abs(permille - percent * 10) > 1e-6:
        raise typer.BadParameter("a share is percent with at most one decimal place")
    return permille


def _until_gone(admin: EngineAdmin, request: engine_pb2.UnloadModelRequest, waiting: _Waiting) -> None:
    """Raises EngineRefused when it is still there soon after its deadline."""
    give_up_at_s = time.monotonic() + request.deadline_ms / 1_000 + _GONE_WITHIN_S
    while time.monotonic() < give_up_at_s:
        left = [
            state.load.slots_used
            for state in admin.describe().models
            if (state.load.name, state.load.version) == (request.name, request.version)
        ]
        if not left:
            return
        waiting.say(f"{request.name} {request.version} is leaving: {left[0]} sessions open")
        time.sleep(_POLL_S)
    raise EngineRefused(f"{request.name} {request.version} is still there", ExitCode.unavailable)


class _Waiting:
    """A line on a terminal's standard error that says what is waited for; elsewhere nothing."""

    def __init__(self, text: str) -> None:
        self._status = Console(stderr=True).status(text)

    def __enter__(self) -> _Waiting:
        if sys.stderr.isatty():
            self._status.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._status.stop()

    def say(self, text: str) -> None:
        self._status.update(text)


def _show(states: Iterable[engine_pb2.ModelState], *, as_json: bool) -> None:
    rows = [_row(state) for state in states]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("name")
    for column in ("version", "share", "open", "slots"):
        table.add_column(column, no_wrap=True)
    for column in ("language", "path"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            row["name"],
            row["version"],
            "leaving" if row["is_leaving"] else f"{row['share_permille'] / 10:g} %",
            str(row["slots_used"]),
            f"{row['slots_total']} of {row['slots_laid_out']}",
            row["language"],
            row["path"],
        )
    Console().print(table)


def _row(state: engine_pb2.ModelState) -> dict[str, Any]:
    load, memory = state.load, state.memory
    return {
        "name": load.name,
        "version": load.version,
        "language": load.language,
        "share_permille": load.share_permille,
        "is_leaving": load.is_leaving,
        "slots_used": load.slots_used,
        "slots_total": load.slots_total,
        "slots_laid_out": state.slots_laid_out,
        "step_times": [{"batch": step.batch, "step_us": step.step_us} for step in state.step_times],
        "device": memory.device,
        "weights_bytes": memory.weights_bytes,
        "state_bytes_per_slot": memory.state_bytes_per_slot,
        "state_bytes_total": memory.state_bytes_total,
        "path": state.path,
    }
