"""Promises of how sources are made."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from engines.preemption.opening import open_sources
from engines.preemption.settings import PreemptionSettings, read_sources

if TYPE_CHECKING:
    from pathlib import Path


async def test_every_source_that_can_be_named_can_be_opened(tmp_path: Path) -> None:
    named = read_sources("aws,gcp,azure,http:127.0.0.1:0")
    sources = await open_sources(PreemptionSettings(sources=named, machine_file=tmp_path / "machine.lock"))
    assert [source.name for source in sources] == ["aws", "gcp", "azure", "http"]
    for source in sources:
        await source.release(frozenset())
        await source.aclose()


def test_an_engine_without_a_source_does_not_load_an_http_client() -> None:
    code = "import engines.server.main, sys; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
