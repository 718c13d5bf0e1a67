"""`patchbay certificate`: development certificates, and what browsers say to one."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.dev_certificates import CERTIFICATE_FILE, DevCertificateRefused, ShownCertificate
from gateway.dev_certificates import make as make_pair
from gateway.dev_certificates import shown as shown_of
from gateway.dev_keys import state_directory

app = typer.Typer(help="Make a development certificate; show what browsers say to one.", no_args_is_help=True)

_Directory = Annotated[
    Path | None, typer.Option(help="Where the pair of PEM files is; default: where `patchbay up` keeps its own.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("make")
def make(
    directory: _Directory = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A name or address beside localhost, 127.0.0.1 and ::1; may be given several times."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Write a new development certificate and its key, over those that are there."""
    where = _directory(directory)
    try:
        made = make_pair(where, hosts=tuple(host or ()))
        found = shown_of(made.certificate_file)
    except DevCertificateRefused as refused:
        sys.stderr.write(f"{refused}\n")
        raise typer.Exit(ExitCode.usage) from None
    if as_json:
        files = {"certificate_file": str(made.certificate_file), "key_file": str(made.key_file)}
        print(json.dumps(files | _as_json(found)))
        return
    print(f"{made.certificate_file}\n{made.key_file}: its key; only you can read it")
    _print(found)


@app.command("show")
def show(
    file: Annotated[
        Path | None, typer.Argument(help="A certificate in PEM; default: the one that `make` wrote.")
    ] = None,
    directory: _Directory = None,
    as_json: _Json = False,
) -> None:
    """Show a certificate's names, validity and SHA-256, and whether browsers take it by its hash."""
    try:
        found = shown_of(file or _directory(directory) / CERTIFICATE_FILE)
    except DevCertificateRefused as refused:
        sys.stderr.write(f"{refused}\n")
        raise typer.Exit(ExitCode.no_input) from None
    if as_json:
        print(json.dumps(_as_json(found)))
        return
    _print(found)


def _directory(given: Path | None) -> Path:
    return given or state_directory(os.environ)


def _as_json(found: ShownCertificate) -> dict[str, object]:
    return {
        "hosts": list(found.hosts),
        "not_before": found.not_before.isoformat(),
        "not_after": found.not_after.isoformat(),
        "sha256_hex": found.sha256.hex(),
        "sha256_base64": base64.b64encode(found.sha256).decode(),
        "taken_by_hash": not found.refused_by_hash,
        "refused_by_hash": list(found.refused_by_hash),
    }


def _print(found: ShownCertificate) -> None:
    print(f"names    {', '.join(found.hosts) or 'none'}")
    print(f"valid    {found.not_before:%Y-%m-%d %H:%M} to {found.not_after:%Y-%m-%d %H:%M} UTC")
    print(f"sha-256  {found.sha256.hex()}")
    print(f"base64   {base64.b64encode(found.sha256).decode()}")
    if found.refused_by_hash:
        print(f"browsers do not take it by its hash: {'; '.join(found.refused_by_hash)}")
    else:
        print("browsers take it by its hash (serverCertificateHashes)")
