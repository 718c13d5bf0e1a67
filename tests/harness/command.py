"""The `patchbay` command as a user types it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.harness.region import PATCHBAY, ROOT, environment_of

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def finals(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == "final"]


def patchbay(folder: Path, *arguments: str, stdin: bytes = b"", **environment: str) -> Outcome:
    """Run the command to its end, with the state of `folder`."""
    done = subprocess.run(
        [str(PATCHBAY), *arguments],
        env=environment_of(folder) | environment,
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
