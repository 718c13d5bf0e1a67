"""What every command about bundles needs first: the bundle of a folder, and an instant as somebody wrote it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import typer

from gateway.cli.exit_codes import ExitCode
from gateway.residency.bundle_folder import FolderRefused, read_folder
from policies.residency.bundles.bundle import BundleRefused, read_bundle
from policies.residency.bundles.instants import seconds_of

if TYPE_CHECKING:
    from pathlib import Path

    from policies.residency.bundles.bundle import Bundle

_UNIX_SECONDS = 12
"""Digits at most."""


def bundle_in(folder: Path, *, as_json: bool = False) -> Bundle:
    """Read it, or end the command: every mistake is told."""
    if not folder.is_dir():
        fail(f"{folder} is no folder of a bundle", ExitCode.no_input)
    try:
        return read_bundle(read_folder(folder))
    except (FolderRefused, BundleRefused) as refused:
        if as_json:
            print(json.dumps({"bundle": str(folder), "mistakes": refused.mistakes}))
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong policy: {folder}: {mistake}\n")
        raise typer.Exit(ExitCode.usage) from None


def instant_of(text: str) -> int:
    """Unix seconds of `2027-06-30T00:00:00Z`, of `2027-06-30` (its first second in UTC), or as they are.

    What is none of it ends the command.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _UNIX_SECONDS:
        return int(text)
    try:
        return seconds_of(text, may_be_a_date=True)
    except ValueError as wrong:
        fail(f"{wrong}; say 2027-06-30 or 2027-06-30T00:00:00Z", ExitCode.usage)


def now_s() -> int:
    return int(time.time())


def fail(text: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(code)
