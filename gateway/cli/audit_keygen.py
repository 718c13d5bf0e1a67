"""`patchbay audit keygen`: a key that signs checkpoints of a decision log."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.decision_log.signing import create_signing_key


def keygen(
    out: Annotated[Path, typer.Option(help="Where the private half goes; the public one is beside it, with `.pub`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make an Ed25519 pair for `decision_log.signing_key_file`."""
    try:
        signer = create_signing_key(out)
    except FileExistsError as error:
        print(f"{error.filename} is there already", file=sys.stderr)
        raise typer.Exit(ExitCode.usage) from None
    except OSError as error:
        print(f"{out}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(ExitCode.no_input) from None
    if as_json:
        print(json.dumps({"private": str(out), "public": f"{out}.pub", "key_id": signer.key_id}))
        return
    print(f"{out}: the private half; nobody but the gateways of one region needs it")
    print(f"{out}.pub: the public half, for whoever verifies; key id {signer.key_id}")
