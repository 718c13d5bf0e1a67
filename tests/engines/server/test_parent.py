"""Promises of the parent watch, seen from outside: it changes what the kernel does to its process."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_an_engine_whose_parent_dies_ends(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import subprocess, sys; subprocess.run(sys.argv[1:])",
        *(sys.executable, "-m", "engines", "--recogniser", "scripted", "--json", "--exit-with-parent"),
        *("--listen", f"unix:{tmp_path}/child.sock"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    async with asyncio.timeout(60):
        await parent.stdout.readline()
        parent.kill()
        # The engine holds the other end of the pipe until it is gone.
        assert await parent.stdout.read() == b""
        await parent.communicate()
