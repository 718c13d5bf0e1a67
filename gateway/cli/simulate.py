"""`patchbay simulate`: what would become of sessions and costs, if."""

from __future__ import annotations

import json
import re
import sys
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.exit_codes import ExitCode
from regions.simulator.comparison import compare
from regions.simulator.html_page import described, html_page
from regions.simulator.plots import PlotsMissing, check_matplotlib, plots
from regions.simulator.report import report
from regions.simulator.rows import fleet_rows, sweep_rows
from regions.simulator.scenario_file import ScenarioRefused, find_scenarios, read_scenario

if TYPE_CHECKING:
    from regions.simulator.comparison import Comparison
    from regions.simulator.rows import Rows
    from regions.simulator.scenario_file import ReadScenario

_LOST = re.compile(r"(?P<region>[a-z0-9-]+)@(?P<at>peak|\d{1,2}(\.\d+)?h?)(:(?P<for>\d+(\.\d+)?)(?P<unit>[hm]))?")
_LOST_HOURS = 2.0
_TELL_EVERY_S = 0.2
_FILE_WIDTH = 140
"""Of tables that do not go to a terminal."""


class _ScenarioGroup(typer.core.TyperGroup):
    """What is no command is a scenario: `patchbay simulate small` is `patchbay simulate run small`."""

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        if arguments and arguments[0] not in self.commands and not arguments[0].startswith("-"):
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)


app = typer.Typer(
    cls=_ScenarioGroup,
    help="A world of sessions, regions and machines, simulated: what if? `patchbay simulate SCENARIO` runs one.",
    no_args_is_help=True,
    subcommand_metavar="SCENARIO | COMMAND [ARGS]...",
)


@app.command("list")
def list_scenarios(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the scenarios that are shipped, and what each asks."""
    found = {name: read_scenario(path) for name, path in find_scenarios().items()}
    if as_json:
        told = {
            name: {"question": read.question, "summary": read.scenario.summary, "file": str(find_scenarios()[name])}
            for name, read in found.items()
        }
        print(json.dumps(told))
        return
    table = Table(show_header=False, box=None)
    for name, read in found.items():
        table.add_row(f"[bold]{name}", f"[bold]{read.question}[/]\n{read.scenario.summary}")
    Console().print(table)


@app.command("validate")
def validate(file: Annotated[Path, typer.Argument(help="Scenario file (TOML).")]) -> None:
    """Check a scenario file. Exit code 65, with every mistake listed, if it cannot be used."""
    try:
        read = read_scenario(file)
    except ScenarioRefused as refused:
        _refuse(refused.mistakes, ExitCode.data_rejected)
    print(f"{read.scenario.name}: {read.scenario.summary}")


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(metavar="SCENARIO", help="A name that `simulate list` shows, or a file.")],
    fleet: Annotated[
        list[str] | None, typer.Option(help="Only this fleet of the scenario; may be given several times.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Of all that is random.")] = None,
    days: Annotated[float | None, typer.Option(help="How long, in simulated days.")] = None,
    scale: Annotated[float | None, typer.Option(help="So many times the callers; fleets are made for them.")] = None,
    lose: Annotated[
        list[str] | None,
        typer.Option(help="REGION@WHEN[:HOW LONG]: eu-west@peak:2h, or us-east@14.5h:30m; several times."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE over the scenario's: spot.correlation_permille=800; several times."),
    ] = None,
    sweep: Annotated[bool, typer.Option(help="Run the scenario's sweep too.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json, index.html and the plots.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a scenario with each of its fleets, and show them side by side. `run` may be left out.

    Exit codes: 0 simulated; 64 no such scenario or fleet; 65 the scenario is wrong; 130 Ctrl-C.
    """
    read = _read(name, {"seed": seed, "days": days, "scale": scale}, change or [], lose or [])
    known = [each.name for each in read.scenario.fleets]
    for wanted in fleet or []:
        if wanted not in known:
            _refuse([f"no fleet is named {wanted}; there are {', '.join(known)}"])
    if out is not None:
        _check_folder(out)
    from regions.simulator.simulation import simulate  # only who simulates waits for all of it

    try:
        comparison = compare(read, simulate, only=fleet or (), has_sweep=sweep, say=_Progress())
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; nothing was written\n")
        raise typer.Exit(ExitCode.interrupted) from None
    told = report(comparison)
    if out is not None:
        _write(out, comparison, told)
    if as_json:
        print(json.dumps(told))
    else:
        _show(told)


def _read(name: str, options: dict[str, Any], changes: list[str], lost: list[str]) -> ReadScenario:
    shipped = find_scenarios()
    path = shipped.get(name, Path(name))
    if name not in shipped and not path.is_file():
        _refuse([f"no scenario is named {name}, and there is no such file; there are {', '.join(shipped)}"])
    over = dict(map(_change, changes)) | {key: value for key, value in options.items() if value is not None}
    strikes = [_lost(text) for text in lost]
    try:
        return read_scenario(path, over, lost=strikes)
    except ScenarioRefused as refused:
        _refuse(refused.mistakes, ExitCode.data_rejected)


def _change(text: str) -> tuple[str, Any]:
    """The value is TOML; what is none is text."""
    key, equals, value = text.partition("=")
    if not key.strip() or not equals:
        raise typer.BadParameter(f"--set needs KEY=VALUE, such as spot.correlation_permille=800: {text}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value


def _lost(text: str) -> dict[str, Any]:
    """A strike as scenario files have it."""
    found = _LOST.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"--lose needs REGION@WHEN[:HOW LONG], such as eu-west@peak:2h: {text}")
    at: str | float = "peak" if found["at"] == "peak" else float(found["at"].rstrip("h"))
    length = float(found["for"] or _LOST_HOURS) / (60 if found["unit"] == "m" else 1)
    return {"kind": "lose_region", "region": found["region"], "at": at, "for_hours": length}


class _Progress:
    """Says on standard error what runs: a line that is written over on a terminal, else a line for each run."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._what = ""
        self._told_at_s = 0.0

    def __call__(self, what: str, done: float) -> None:
        is_new = what != self._what
        self._what = what
        if not self._is_terminal:
            if is_new:
                sys.stderr.write(f"{what}\n")
            return
        now_s = time.monotonic()
        if is_new or done >= 1 or now_s - self._told_at_s >= _TELL_EVERY_S:
            self._told_at_s = now_s
            sys.stderr.write(f"\r\x1b[K{what} {done:.0%}" if done < 1 else "\r\x1b[K")
            sys.stderr.flush()


def _check_folder(out: Path) -> None:
    try:
        check_matplotlib()
        out.mkdir(parents=True, exist_ok=True)
    except (PlotsMissing, OSError) as error:
        _refuse([str(error)])


def _write(out: Path, comparison: Comparison, told: dict[str, Any]) -> None:
    drawn = plots(comparison)
    whole = json.dumps(report(comparison, has_series=True), indent=1)
    (out / "report.json").write_text(whole + "\n", encoding="utf-8")
    (out / "index.html").write_text(html_page(told, drawn), encoding="utf-8")
    for plot in drawn:
        (out / f"{plot.name}.png").write_bytes(plot.png)
    sys.stderr.write(f"{out / 'index.html'}\n")


def _show(told: dict[str, Any]) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=_FILE_WIDTH)
    scenario = told["scenario"]
    console.print(scenario["name"], style="bold", highlight=False, markup=False)
    console.print(scenario["question"] or scenario["summary"], highlight=False, markup=False)
    console.print(described(told), highlight=False, markup=False)
    console.print(_table(fleet_rows(told)))
    swept = sweep_rows(told)
    if swept is not None:
        console.print("Sensitivity: served, and the cost against all reserved", highlight=False)
        console.print(_table(swept))


def _table(rows: Rows) -> Table:
    table = Table(box=None)
    for number, cell in enumerate(rows.head):
        table.add_column(cell, justify="right" if number else "left", no_wrap=not number)
    for row in rows.rows:
        table.add_row(*row)
    return table


def _refuse(mistakes: list[str] | tuple[str, ...], code: ExitCode = ExitCode.usage) -> NoReturn:
    for mistake in mistakes:
        sys.stderr.write(f"{mistake}\n")
    raise typer.Exit(code)
