"""A region on one machine bills what its sessions used: into files, and to the microsecond."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.caller import transcribe
from tests.harness.recordings import exact_names, pcm_of, pieces_of
from tests.harness.region import PATCHBAY, Region
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def billed(region: Region) -> list[dict[str, Any]]:
    """The data of every event that was written."""
    lines = [line for file in Path(region.ready["usage"]).glob("*") for line in file.read_text().splitlines()]
    return [json.loads(line)["data"] for line in lines]


def reconciled_us(region: Region) -> tuple[int, int, int]:
    """What `patchbay usage reconcile` says was settled, recorded and delivered; it finds the region by itself."""
    command = [str(PATCHBAY), "usage", "reconcile", "--json"]
    done = subprocess.run(command, env=region.environment, capture_output=True, timeout=60, check=True)
    rows = json.loads(done.stdout)
    settled, recorded, delivered = (
        sum(row[name] for row in rows) for name in ("settled_us", "recorded_us", "delivered_us")
    )
    return settled, recorded, delivered


async def test_what_sessions_were_told_is_in_the_files_and_the_books_agree(new_region: Callable[..., Region]) -> None:
    region = new_region("--exporter")
    told = []
    for protocol in ("ws", "grpc"):
        caller = await transcribe(region, pieces_of(pcm_of(exact_names()[0])), protocol=protocol)
        told.append(caller.heard[-2].message)
    await until(lambda: len(billed(region)) == len(told), what="the events")
    assert sorted((event["compute_us"], event["audio_ms"]) for event in billed(region)) == sorted(
        (usage.compute_us, usage.audio_ms) for usage in told
    )
    total_us = sum(usage.compute_us for usage in told)
    await until(lambda: reconciled_us(region) == (total_us,) * 3, what="equal books")
