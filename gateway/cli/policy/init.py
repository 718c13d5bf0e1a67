"""`patchbay policy init`: a bundle of one's own to begin with: the starter set, or it with the regions of a catalog."""

from __future__ import annotations

import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.cli.policy.bundle import fail, now_s
from gateway.cli.policy.drafts import drafted_files
from policies.residency.bundles.bundle import files_digest
from policies.residency.bundles.instants import text_of

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from regions.catalog import Catalog

_DAY_S = 86_400
_YEAR_DAYS = 365


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must not be there, or be empty.")],
    catalog: Annotated[
        Path | None, typer.Option(help="Catalog of regions: its regions and operators instead of the example's.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the bundle; default: that of the folder.")] = "",
) -> None:
    """Write the starter set of rules, rows and scenarios as a bundle of your own."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(f"{folder} is there already, and is not empty", ExitCode.usage)
    begin_s = now_s() // _DAY_S * _DAY_S
    files = starter_files()
    files["bundle.toml"] = bundle_toml(name or folder.resolve().name, begin_s, begin_s + _YEAR_DAYS * _DAY_S)
    if catalog is not None:
        files = drafted_files(files, _catalog(catalog), begin_s=begin_s)
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    print(
        f"wrote {len(files)} files to {folder}\n"
        f"digest {files_digest(files)}\n"
        "next: patchbay policy validate, lint and test; docs/compliance.md says how to go on"
    )


def starter_files() -> dict[str, bytes]:
    """The starter set, by paths within it."""
    return dict(sorted(_files(resources.files("policies.residency") / "starter", "")))


def bundle_toml(name: str, issued_at_s: int, expires_at_s: int) -> bytes:
    version = f"{time.strftime('%Y-%m-%d', time.gmtime(issued_at_s))}.1"
    text = (
        f'name = "{name}"\nversion = "{version}"                   # another one for each that is signed\n'
        f"issued_at = {text_of(issued_at_s)}\nexpires_at = {text_of(expires_at_s)}\n"
        "# From expires_at on it permits nothing; a newer version must be in force by then.\n"
    )
    return text.encode()


def _files(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                found.extend(_files(entry, f"{prefix}{entry.name}/"))
        else:
            found.append((f"{prefix}{entry.name}", entry.read_bytes()))
    return found


def _catalog(path: Path) -> Catalog:
    from regions.catalog_file import CatalogRefused, read_catalog

    try:
        return read_catalog(path).catalog
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", ExitCode.no_input)
    except CatalogRefused as refused:
        fail("\n".join(f"wrong catalog: {path}: {mistake}" for mistake in refused.mistakes), ExitCode.usage)
