"""Sessions over a network that loses, doubles, delays and reorders packets, and a NAT that forgets whom it served.

On the stream nothing is lost. In datagrams that is lost what the network lost, and what came after the wait for it: it
is told, and all else is in its place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.wire.audio_datagrams import decode_place
from gateway.wire.messages import AudioLost, Finished, Started
from tests.harness.caller import Caller
from tests.harness.quic_packets import datagrams_in
from tests.harness.recordings import pieces_of, talk
from tests.harness.udp_relay import Fate, UdpRelay, Way
from tests.harness.waiting import until
from tests.network.edge_world import (
    DATAGRAM_MS,
    SAMPLES_PER_MS,
    DatagramSpeaker,
    merged,
    speak,
    words_of,
)

if TYPE_CHECKING:
    from tests.network.edge_world import EdgeWorld

pytestmark = pytest.mark.integration

BAD = Way(delay_ms=5, jitter_ms=5, loss=0.05, duplicate=0.05, reorder=0.1, reorder_by_ms=10)
AUDIO_MS, LONG_AUDIO_MS = 8_000, 120_000
SPEED = 8.0
MOST_TOO_LATE = 20
"""While the wait grows; a busy machine adds disorder of its own."""


def assert_whole(caller: Caller, pcm16: bytes, lost_ms: list[tuple[int, int]] | None = None) -> None:
    assert caller.all_of(Finished), caller.error or caller.failure
    assert caller.all_of(Finished)[0].audio_ms == len(pcm16) // 2 // SAMPLES_PER_MS
    assert caller.words == words_of(pcm16, lost_ms=lost_ms)
    assert len(caller.all_of(Started)) == 1


async def test_on_the_stream_no_word_is_lost_whatever_the_network_does(world: EdgeWorld, *, is_long: bool) -> None:
    pcm16 = talk(81, duration_ms=LONG_AUDIO_MS if is_long else AUDIO_MS)
    async with UdpRelay(world.port, there=BAD, back=BAD, seed=1) as relay, world.calling(port=relay.port) as caller:
        await speak(caller, pieces_of(pcm16), speed=SPEED, within_s=60)
        assert relay.there.packets(Fate.lost)
    assert_whole(caller, pcm16)
    assert not caller.all_of(AudioLost)


async def test_in_datagrams_what_the_network_lost_or_brought_too_late_is_silence_and_is_told(
    world: EdgeWorld, *, is_long: bool
) -> None:
    pcm16 = talk(82, duration_ms=LONG_AUDIO_MS if is_long else AUDIO_MS)
    heard = await heard_in_datagrams(world, pcm16, BAD, seed=2)
    assert len(heard.lost_on_the_way) >= 10
    assert heard.lost_on_the_way <= heard.told
    too_late = heard.told - heard.lost_on_the_way
    assert len(too_late) <= MOST_TOO_LATE, "the wait follows the network"


async def test_a_network_that_reorders_costs_audio_until_the_wait_has_followed_it(
    world: EdgeWorld, *, is_long: bool
) -> None:
    """Each tenth comes 20 ms after its place, where a quarter of the round trip is 10 ms."""
    pcm16 = talk(84, duration_ms=LONG_AUDIO_MS if is_long else 2 * AUDIO_MS)
    way = Way(delay_ms=20, reorder=0.1, reorder_by_ms=20)
    heard = await heard_in_datagrams(world, pcm16, way, seed=3)
    assert not heard.lost_on_the_way
    assert len(heard.told) <= MOST_TOO_LATE, "some 80 were late"


@dataclass(frozen=True)
class HeardInDatagrams:
    """Numbers of datagrams."""

    lost_on_the_way: set[int]
    told: set[int]


async def heard_in_datagrams(world: EdgeWorld, pcm16: bytes, there: Way, *, seed: int) -> HeardInDatagrams:
    """Of a session that was as it should be: all audio in its place, and silence where it was told lost."""
    pcm16 = pcm16[: len(pcm16) // 6_400 * 6_400]
    async with (
        UdpRelay(world.port, there=there, back=there, seed=seed) as relay,
        world.session(port=relay.port) as session,
    ):
        caller = Caller(DatagramSpeaker(session))
        listening = asyncio.create_task(caller.listen())
        await speak(caller, pieces_of(pcm16), speed=SPEED)
        await listening
        # A datagram's frame begins with the session's number, one byte here.
        lost = [decode_place(frame[1:])[1] for frame in datagrams_in(relay.there.packets(Fate.lost), session.quic)]
    told_ms = [(told.start_ms, told.end_ms) for told in caller.all_of(AudioLost)]
    assert_whole(caller, pcm16, merged(told_ms))
    assert all(edge_ms % DATAGRAM_MS == 0 for gap in told_ms for edge_ms in gap), "whole or not at all"
    return HeardInDatagrams(
        {sample // SAMPLES_PER_MS // DATAGRAM_MS for sample in lost},
        {number for start_ms, end_ms in told_ms for number in range(start_ms // DATAGRAM_MS, end_ms // DATAGRAM_MS)},
    )


@pytest.mark.parametrize("has_datagrams", [False, True])
async def test_a_session_goes_on_when_a_nat_gives_its_client_another_port(
    world: EdgeWorld, *, has_datagrams: bool
) -> None:
    pcm16 = talk(83, duration_ms=8_000)
    choices = WebTransportChoices(trust=world.trust, has_datagrams=has_datagrams)
    async with UdpRelay(world.port) as relay, world.calling(port=relay.port, choices=choices) as caller:
        speaking = asyncio.create_task(speak(caller, pieces_of(pcm16), speed=SPEED))
        for words in (2, 6):
            await until(lambda words=words: len(caller.partials) > words, what="words")  # type: ignore[misc]
            relay.rebind()
        await speaking
    assert_whole(caller, pcm16)
    assert not caller.all_of(AudioLost)
