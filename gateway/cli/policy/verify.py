"""`patchbay policy verify`: whether a gateway in production would take a bundle now."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import fail
from policies.residency.bundles.instants import text_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_KEY_ENDINGS = (".pub", ".pem")


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    approvers: Annotated[
        Path, typer.Option("--approvers", help="Folder with public keys, NAME.pub or NAME.pem for each approver.")
    ],
    required: Annotated[int, typer.Option("--required", min=1, max=64, help="How many of them must have signed.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a bundle's signatures and dates as gateways do, and exit 1 if one would not take it."""
    from gateway.residency.bundle_folder import FolderRefused, read_folder
    from gateway.residency.loading import BundleUnusable, Trust, load
    from gateway.residency.signatures import verified_by
    from policies.residency.bundles.bundle import BundleRefused, files_digest

    keys = _keys_in(approvers)
    try:
        files = read_folder(folder)
        digest = files_digest(files)
    except FolderRefused as refused:
        fail(f"{folder}: {refused}", ExitCode.no_input)
    except BundleRefused as refused:
        fail(f"{folder}: {refused}", ExitCode.usage)
    signed = verified_by(files, digest, keys)
    mistakes: list[str] = []
    until = ""
    try:
        until = text_of(load(folder, Trust(keys, required), now_s=time.time()).bundle.expires_at_s)
    except BundleUnusable as unusable:
        mistakes = unusable.mistakes
    if as_json:
        tree = {
            "bundle": str(folder),
            "digest": digest,
            "approved_by": list(signed.by),
            "required": required,
            "problems": list(signed.problems),
            "expires_at": until,
            "mistakes": mistakes,
        }
        print(json.dumps(tree))
    else:
        print(f"digest {digest}\napproved by {', '.join(signed.by) or 'nobody'}; {required} must have signed")
        for line in dict.fromkeys((*signed.problems, *mistakes)):
            print(line)
        print("a gateway would not take it" if mistakes else f"a gateway would take it, until {until}")
    if mistakes:
        raise typer.Exit(ExitCode.differs)


def _keys_in(folder: Path) -> dict[str, Ed25519PublicKey]:
    from gateway.residency.building import ResidencyRefused, approvers_of

    files = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix in _KEY_ENDINGS}
    if not files:
        fail(f"{folder}: no public key in it, NAME.pub or NAME.pem", ExitCode.no_input)
    try:
        return approvers_of(files)
    except ResidencyRefused as refused:
        fail("\n".join(refused.mistakes), ExitCode.usage)
