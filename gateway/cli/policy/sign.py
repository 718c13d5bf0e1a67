"""`patchbay policy keygen` and `patchbay policy sign`: an approver's key, and his signature under a bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import bundle_in, fail

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OTHERS = 0o077
_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_MAX_NAME_CHARS = 64


def keygen(
    name: Annotated[str, typer.Argument(help="Who will sign with it, as the gateways' settings name him.")],
    directory: Annotated[Path, typer.Option("--directory", help="Where both files are put.")] = Path(),
) -> None:
    """Make a key pair for an approver: NAME.key, for him alone, and NAME.pub, for the settings of gateways."""
    from gateway.residency.signatures import new_key

    _check_name(name)
    private, public = new_key()
    key_file, public_file = directory / f"{name}.key", directory / f"{name}.pub"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, content, mode in ((key_file, private, 0o600), (public_file, public, 0o644)):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(content)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", ExitCode.usage)
    print(f"{key_file}: keep it to yourself; sign with `patchbay policy sign BUNDLE --key {key_file} --as {name}`")
    print(f"{public_file}: for `residency.approvers` in the gateways' settings")


def sign(
    folder: Annotated[Path, typer.Argument(help="Folder of a bundle.")],
    key: Annotated[Path, typer.Option("--key", help="Your private key, an Ed25519 one in PEM.")],
    approver: Annotated[str, typer.Option("--as", help="Your name in the gateways' settings.")],
) -> None:
    """Approve a bundle: put your signature under exactly these bytes into its folder."""
    from gateway.residency.signatures import path_of
    from gateway.residency.signatures import sign as signature_of

    _check_name(approver)
    bundle = bundle_in(folder)
    target = folder / path_of(approver)
    private = _private_key(key)
    try:
        target.parent.mkdir(exist_ok=True)
        new = target.with_name(f".{target.name}")
        new.write_bytes(signature_of(bundle.digest, private))
        new.replace(target)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", ExitCode.usage)
    print(f"{approver} approves {bundle.name} {bundle.version}\ndigest {bundle.digest}\n{target}")


def _check_name(name: str) -> None:
    if not 0 < len(name) <= _MAX_NAME_CHARS or not set(name) <= _NAME_CHARS or not name[0].isalnum():
        fail(f"{name!r} cannot be an approver: letters, digits or any of . _ -", ExitCode.usage)


def _private_key(path: Path) -> Ed25519PrivateKey:
    from gateway.residency.signatures import KeyRefused, private_key_of

    try:
        if path.stat().st_mode & _OTHERS:
            fail(f"{path}: others may read it; `chmod 600` it, or make another one", ExitCode.usage)
        return private_key_of(path.read_bytes())
    except OSError as error:
        fail(f"{path}: {error.strerror}", ExitCode.no_input)
    except KeyRefused as refused:
        fail(f"{path}: {refused}", ExitCode.usage)
