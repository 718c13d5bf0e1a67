"""A client sends a hundred times as fast as one speaks: flow control holds it, its words are right, others go on."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.caller import Caller, calling, transcribe
from tests.harness.figures import quantile
from tests.harness.metrics import scrape
from tests.harness.recordings import pcm_of, pieces_of, talk
from tests.harness.region import Region, start_region

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.alone]

FLOOD = talk(1, duration_ms=5 * 60_000)
FLOOD_MS = len(FLOOD) // 32
HELD_AUDIO_S = 60
MAX_GROWTH_BYTES = 48 * 1_048_576
SLOWEST_PARTIAL_S = 0.6
DIALOGUE = pieces_of(pcm_of("dialogue_awb.wav"))[:85]


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    with start_region(tmp_path_factory.mktemp("region")) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(flooded: Region) -> Caller:
    """The same audio, alone, and slower than the engine could take it."""
    return asyncio.run(transcribe(flooded, pieces_of(FLOOD), speed=60.0))


@pytest.fixture(scope="module")
def alone(flooded: Region) -> Caller:
    """Somebody who speaks with nobody beside."""
    return asyncio.run(transcribe(flooded, DIALOGUE, speed=2.0))


async def watch(region: Region, over: asyncio.Event) -> tuple[int, float]:
    """Until `over`: the most memory that the gateway had, and the most audio it held."""
    most_bytes, most_held_s = 0, 0.0
    while not over.is_set():
        most_bytes = max(most_bytes, region.gateway_rss_bytes())
        most_held_s = max(most_held_s, (await scrape(region))("patchbay_held_audio_seconds"))
        await asyncio.sleep(0.05)
    return most_bytes, most_held_s


@pytest.mark.parametrize(("protocol", "piece_ms"), [("ws", 100), ("ws", 10_000), ("grpc", 100), ("grpc", 10_000)])
async def test_a_flood_is_held_back_and_its_words_are_right(
    flooded: Region, undisturbed: Caller, protocol: str, piece_ms: int
) -> None:
    before_bytes = flooded.gateway_rss_bytes()
    over = asyncio.Event()
    watching = asyncio.create_task(watch(flooded, over))
    began_s = time.monotonic()
    caller = await transcribe(flooded, pieces_of(FLOOD, piece_ms=piece_ms), protocol=protocol, within_s=120)
    elapsed_s = time.monotonic() - began_s
    over.set()
    most_bytes, most_held_s = await watching
    print(
        f"{FLOOD_MS / 1_000:.0f} s of audio in {elapsed_s:.1f} s ({FLOOD_MS / 1_000 / elapsed_s:.0f}x); "
        f"held at most {most_held_s:.1f} s; grown by {(most_bytes - before_bytes) / 1e6:.1f} MB"
    )
    assert caller.is_finished, caller.error or caller.failure
    assert caller.finals == undisturbed.finals
    assert most_held_s <= HELD_AUDIO_S
    assert most_bytes - before_bytes < MAX_GROWTH_BYTES


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
async def test_a_session_beside_a_flood_keeps_its_latency(flooded: Region, alone: Caller, protocol: str) -> None:
    over = asyncio.Event()

    async def flood() -> None:
        while not over.is_set():
            async with calling(flooded, protocol) as caller:
                await caller.start()
                for piece in pieces_of(FLOOD, piece_ms=1_000):
                    if over.is_set():
                        break
                    await caller.say(piece)

    flooding = asyncio.create_task(flood())
    beside = await transcribe(flooded, DIALOGUE, speed=2.0)
    over.set()
    await flooding
    delays_s = [caller.partial_delays_s() for caller in (alone, beside)]
    for name, delays in zip(("alone", "beside a flood"), delays_s, strict=True):
        print(f"{name}: partials p50 {quantile(delays, 0.5):.3f} s, p99 {quantile(delays, 0.99):.3f} s")
    assert beside.finals == alone.finals
    assert quantile(delays_s[1], 0.9) < SLOWEST_PARTIAL_S
