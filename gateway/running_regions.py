"""Which regions run on this machine: each supervisor leaves a note, so that other commands need no address."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = "running"
_OWN_ADDRESSES = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_ANY_ADDRESS = re.compile(r"\A((?:[a-z]+://)?)(0\.0\.0\.0|\[::\])(?=:[0-9])")


def announce(state_directory: Path, ready: dict[str, Any]) -> None:
    """Write or renew the note of the supervisor `ready["pid"]`; whole or not at all."""
    folder = state_directory / _FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = folder / f"{ready['pid']}.json"
    draft = note.with_suffix(".draft")
    draft.write_text(json.dumps(ready), encoding="utf-8")
    draft.replace(note)


def withdraw(state_directory: Path, pid: int) -> None:
    (state_directory / _FOLDER / f"{pid}.json").unlink(missing_ok=True)


def newest(state_directory: Path) -> dict[str, Any] | None:
    """The region that was announced last and still runs; notes of the dead are removed. Where it listens on every
    address of the machine, that of the machine itself stands in the note.
    """
    notes = []
    for note in (state_directory / _FOLDER).glob("*.json"):
        with suppress(OSError, ValueError):
            if _is_alive(int(note.stem)):
                notes.append((note.stat().st_mtime_ns, note))
            else:
                note.unlink(missing_ok=True)
    for _, note in sorted(notes, reverse=True):
        with suppress(OSError, ValueError):
            ready = json.loads(note.read_text(encoding="utf-8"))
            if isinstance(ready, dict):
                return {name: _from_here(value) if isinstance(value, str) else value for name, value in ready.items()}
    return None


def _from_here(address: str) -> str:
    return _ANY_ADDRESS.sub(lambda found: found[1] + _OWN_ADDRESSES[found[2]], address)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
