"""`patchbay engine`: the engines of a running region, and TensorRT engine files made beforehand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engines.errors import BackendFailed, ModelRejected, RuntimeMissing
from gateway.cli.engine_preempt import preempt
from gateway.cli.exit_codes import ExitCode
from gateway.cli.live_engines import add_live_commands
from gateway.cli.order_commands import add_order_commands

if TYPE_CHECKING:
    from rich.progress import TaskID

    from engines.backends.tensorrt.making import Made
    from engines.backends.tensorrt.progress import Phase

app = typer.Typer(help="Show and empty engines; build TensorRT engine files.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def build(
    model: Annotated[Path, typer.Argument(help="Model folder or .onnx file, tokens.txt beside it.")],
    batch_min: Annotated[int, typer.Option(help="Smallest batch.")] = 1,
    batch_opt: Annotated[int, typer.Option(help="Batch that tactics are timed at; 0: the largest.")] = 0,
    batch_max: Annotated[int, typer.Option(help="Largest batch.")] = 32,
    precision: Annotated[str, typer.Option(help="fp32 or fp16.")] = "fp32",
    cache: Annotated[Path | None, typer.Option(help="Folder of engine files; default: beside the model.")] = None,
    device: Annotated[int, typer.Option(help="Number of the GPU.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Build an engine file for this machine's GPU, hold it against ONNX Runtime, and keep it.

    Exits with 64 for wrong options, 65 if the model is refused, 69 if TensorRT, CUDA or a GPU is missing or fails.
    """
    from engines.backends.tensorrt.batches import BatchRange
    from engines.backends.tensorrt.half_precision import Precision
    from engines.backends.tensorrt.making import EngineRequest, Model, make_engine
    from engines.backends.tensorrt.progress import BuildProgress
    from engines.backends.tensorrt.toolchain import TensorRtToolchain
    from engines.model_files import check_model, find_model_file

    try:
        request = EngineRequest(BatchRange(batch_min, batch_opt or batch_max, batch_max), Precision(precision), cache)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(ExitCode.usage) from None
    try:
        checked = Model(check_model(model), find_model_file(model))
        toolchain = TensorRtToolchain(device)
        with _Bars(is_shown=not as_json) as bars:
            made = make_engine(toolchain, checked, request, progress=BuildProgress(bars.show))
    except ModelRejected as refused:
        _say_mistakes(str(model), refused.mistakes, as_json=as_json)
        is_missing = isinstance(refused, RuntimeMissing)
        raise typer.Exit(ExitCode.unavailable if is_missing else ExitCode.data_rejected) from None
    except BackendFailed as failed:
        _say_mistakes(str(model), [f"the GPU failed: {failed}"], as_json=as_json)
        raise typer.Exit(ExitCode.unavailable) from None
    _print(_row_of(made), as_json=as_json)


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="Engine file.")],
    as_json: AsJson = False,
) -> None:
    """Print what an engine file says of itself; its plan is not loaded. Exits with 65 if it is damaged or none."""
    import msgspec

    from engines.backends.tensorrt.engine_files import inspect_engine

    try:
        facts = inspect_engine(file)
    except ModelRejected as refused:
        _say_mistakes(str(file), refused.mistakes, as_json=as_json)
        raise typer.Exit(ExitCode.data_rejected) from None
    row = {
        "path": str(facts.path),
        "key": msgspec.to_builtins(facts.key),
        "plan_bytes": facts.plan_bytes,
        "plan_sha256": facts.plan_sha256,
        "report": facts.report,
    }
    _print(row, as_json=as_json)


add_live_commands(app, "engine")
add_order_commands(app, "engine")
app.command()(preempt)


class _Bars:
    """One bar for each phase that is under way."""

    def __init__(self, *, is_shown: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not is_shown)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, phases: tuple[Phase, ...]) -> None:
        names = {phase.name for phase in phases}
        for name in [name for name in self._tasks if name not in names]:
            self._progress.remove_task(self._tasks.pop(name))
        for phase in phases:
            if phase.name not in self._tasks:
                self._tasks[phase.name] = self._progress.add_task("  " * phase.depth + phase.name)
            self._progress.update(self._tasks[phase.name], total=phase.steps_total, completed=phase.steps_done)


def _row_of(made: Made) -> dict[str, Any]:
    import msgspec

    file = made.file
    return {
        "path": str(file.path),
        "is_new": made.is_new,
        "key": msgspec.to_builtins(file.key),
        "plan_bytes": len(file.plan),
        "report": file.report,
    }


def _print(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(row))
        return
    table = Table(show_header=False, box=None)
    for name, value in _flat(row):
        table.add_row(f"[bold]{name}", value)
    Console().print(table)


def _flat(row: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested values by dotted names; lists as how many they are."""
    found: list[tuple[str, str]] = []
    for name, value in row.items():
        if isinstance(value, dict):
            found.extend(_flat(value, f"{before}{name}."))
        elif isinstance(value, list | tuple):
            found.append((before + name, f"{len(value)}"))
        else:
            found.append((before + name, str(value)))
    return found


def _say_mistakes(path: str, mistakes: list[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"path": path, "mistakes": mistakes}))
    for mistake in mistakes:
        sys.stderr.write(f"{mistake}\n")
