"""`patchbay models`: what models are here, and whether a model's files keep the contract; those of an engine are
engine_models.py's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from engines.errors import ModelRejected
from engines.model_kinds import check_files, kind_of
from engines.server.options import EMBEDDED_MODEL
from gateway.cli import engine_models
from gateway.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from engines.contract import ModelContract, TransducerContract

app = typer.Typer(help="List models, check their files, load and unload them.", no_args_is_help=True)
app.command()(engine_models.load)
app.command()(engine_models.unload)
app.command()(engine_models.share)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(
    folder: Annotated[Path | None, typer.Option(help="Folder of model folders; default: those shipped.")] = None,
    engine: Annotated[
        str, typer.Option(help="List what this engine has loaded: unix:/path, host:port, or its number here.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the models in a folder, or those of a running engine, with their versions."""
    if engine:
        if folder is not None:
            raise typer.BadParameter("--folder and --engine exclude each other")
        engine_models.show_loaded(engine, as_json=as_json)
        return
    where = EMBEDDED_MODEL.parent if folder is None else folder
    rows = []
    for path in sorted(where.iterdir()) if where.is_dir() else []:
        if (path / "tokens.txt").is_file():
            try:
                rows.append(_describe(path, check_files(path)))
            except ModelRejected as rejected:
                rows.append({"path": str(path), "mistakes": rejected.mistakes})
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("name", "version", "kind", "precision", "language", "step", "state per stream", "path")
    for row in rows:
        if "mistakes" in row:
            table.add_row("[red]refused", "", "", "", "", "", "", f"{row['path']}: {'; '.join(row['mistakes'])}")
        else:
            table.add_row(
                row["name"],
                row["version"],
                row["kind"],
                row["precision"],
                row["language"],
                f"{row['step_ms']} ms",
                f"{row['state_bytes']} B",
                row["path"],
            )
    Console().print(table)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="Model folder or .onnx file, tokens.txt beside it.")],
    as_json: AsJson = False,
) -> None:
    """Check a CTC model's or a transducer's files; exit 65 with every mistake if they break the contract."""
    try:
        contract = check_files(path)
    except ModelRejected as rejected:
        if as_json:
            print(json.dumps({"path": str(path), "mistakes": rejected.mistakes}))
        for mistake in rejected.mistakes:
            sys.stderr.write(f"{mistake}\n")
        raise typer.Exit(ExitCode.data_rejected) from None
    row = _describe(path, contract)
    if as_json:
        print(json.dumps(row))
        return
    table = Table(show_header=False, box=None)
    for name, value in row.items():
        table.add_row(f"[bold]{name}", str(value))
    Console().print(table)


def _describe(path: Path, contract: ModelContract | TransducerContract) -> dict[str, Any]:
    return {
        "name": contract.name,
        "version": contract.version,
        "kind": kind_of(path).value,
        "precision": contract.precision,
        "language": contract.language,
        "vocab_size": contract.vocab_size,
        "window_ms": contract.window_frames * 10,
        "step_ms": contract.shift_frames * 10,
        "weights_bytes": contract.weights_bytes,
        "state_bytes": contract.state_bytes,
        "path": str(path),
    }
