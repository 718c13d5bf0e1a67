"""Promises of a relay, with real engines behind it and real certificates."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import grpc.aio
import msgspec
import pytest

from engines.interface import LossReason, Lost, MoveAway, MoveReason, RefusalReason, Refused
from policies.routing_facts import RegionState
from regions.links.certificates import Certificates
from regions.links.link_break import LinkBreak
from tests.harness.certificates import Authority
from tests.harness.engine import EngineProcess, Listener, linked, running_engine
from tests.harness.relay_world import HERE, THERE, RelayWorld, relay_world
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from regions.links.grpc_link import GrpcLink

pytestmark = pytest.mark.integration

SCRIPTED = ("--recogniser", "scripted", "--slots", "8", "--heartbeat-interval-ms", "200")
PIECES = [bytes([number, 0]) * 1_600 for number in range(1, 16)]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[EngineProcess]:
    async with running_engine(tmp_path, *SCRIPTED) as running:
        yield running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RelayWorld]:
    async with relay_world(tmp_path) as made:
        yield made


async def granted(link: GrpcLink, name: str = "s") -> Listener:
    session = Listener(name)
    session.open(link)
    await session.until_answered()
    assert session.is_granted, session.events
    return session


async def test_a_session_hears_through_a_relay_what_it_hears_directly(engine: EngineProcess, world: RelayWorld) -> None:
    await world.start(engine.address)
    link = await world.link()
    assert world.relay.num_links_in_use == 0
    relayed = await granted(link)
    assert world.relay.num_links_in_use == 1
    await relayed.say_all(PIECES)
    await relayed.until_over()
    async with linked(engine.address) as link:
        direct = await granted(link)
        await direct.say_all(PIECES)
        await direct.until_over()
    assert relayed.told == direct.told != []
    assert relayed.window_samples == direct.window_samples
    assert relayed.compute_us > 0
    await until(lambda: world.relay.open_streams == 0)


async def test_a_region_tells_its_load_and_state_and_is_measured(engine: EngineProcess, world: RelayWorld) -> None:
    await world.start(engine.address)
    link = await world.link(heartbeat_interval_ms=50)
    await until(lambda: link.rtt is not None, what="a pong")
    load = link.load
    assert load is not None
    assert (load.pool, load.slots_total, load.is_draining) == (THERE, 8, False)
    assert link.region == world.status
    assert link.rtt is not None
    assert abs(link.rtt.clock_offset_ms) < 1_000
    assert link.rtt.rtt_us < 5_000_000
    await granted(link)
    await until(lambda: link.load is not None and link.load.slots_used == 1)


async def test_only_a_peer_with_a_certificate_of_its_region_is_served(
    engine: EngineProcess, world: RelayWorld, tmp_path: Path
) -> None:
    await world.start(engine.address)
    other = Authority(tmp_path / "other")
    unknown_ca = await world.link(
        certificates=Certificates(other.issue(HERE, ca=world.authority)), waits=False, connect_timeout_ms=5_000
    )
    wrong_relay = await world.link(server_name="us-east", waits=False)
    not_a_peer = await world.link(
        certificates=Certificates(world.authority.issue("us-east")), gateway="us-east/1", waits=False
    )
    impostor = await world.link(gateway=f"{THERE}/1", waits=False)
    expired = await world.link(
        certificates=Certificates(world.authority.issue("eu-north", valid_for_s=-5)), waits=False
    )
    links = (unknown_ca, wrong_relay, not_a_peer, impostor, expired)
    await until(lambda: all(link.last_break is not None for link in links), what="five refusals")
    assert [link.last_break for link in links] == [LinkBreak.unreachable] + [LinkBreak.untrusted] * 4
    assert not any(link.is_connected for link in links)
    channel = await world.bare_channel(root_certificates=world.authority.files(HERE).ca_file.read_bytes())
    with pytest.raises(grpc.aio.AioRpcError):
        await channel.stream_stream("/patchbay.engine.v1.Engine/Link")().read()
    assert world.sample("patchbay_relay_rejected_links_total", reason="unknown_peer") >= 1
    assert world.sample("patchbay_relay_rejected_links_total", reason="not_trusted") >= 1


async def test_an_engine_that_dies_behind_the_relay_is_heard_of(engine: EngineProcess, world: RelayWorld) -> None:
    await world.start(engine.address)
    link = await world.link()
    sessions = [await granted(link) for _ in range(3)]
    engine.process.send_signal(signal.SIGKILL)
    await until(lambda: all(session.end == Lost(1, LossReason.link_lost) for session in sessions))
    late = Listener("late")
    late.open(link)
    await late.until_over()
    assert late.end == Refused(1, RefusalReason.unreachable, 500)
    assert link.is_connected


async def test_a_peer_may_not_run_ahead_of_the_window_nor_take_more_than_its_share(
    engine: EngineProcess, world: RelayWorld
) -> None:
    await world.start(engine.address, max_streams_per_peer=2)
    link = await world.link()
    greedy, steady = await granted(link, "greedy"), await granted(link, "steady")
    third = Listener("third")
    third.open(link)
    await third.until_over()
    assert third.end == Refused(1, RefusalReason.no_free_slot, 500)
    greedy.say(bytes(2 * greedy.window_samples + 2))
    await greedy.until_over()
    assert greedy.end == Lost(1, LossReason.protocol_broken)
    await steady.say_all(PIECES)
    await steady.until_over()
    assert steady.finals
    assert link.is_connected


async def test_a_draining_region_takes_nothing_and_its_streams_are_told_to_move(
    engine: EngineProcess, world: RelayWorld
) -> None:
    await world.start(engine.address)
    link = await world.link(move_burst=1, moves_per_s=200)
    sessions = [await granted(link, str(number)) for number in range(4)]
    world.relay.begin_drain()
    await until(lambda: all(isinstance(session.events[-1], MoveAway) for session in sessions))
    assert {event.reason for session in sessions for event in session.events if isinstance(event, MoveAway)} == {
        MoveReason.region_draining
    }
    assert link.region is not None
    assert link.region.state is RegionState.draining
    assert link.is_draining
    late = Listener("late")
    late.open(link)
    await late.until_over()
    assert late.end == Refused(1, RefusalReason.draining)
    sessions[0].finish()
    await sessions[0].until_over()
    await world.relay.drain(deadline_ms=50)
    await until(lambda: all(session.end == Lost(1, LossReason.drained) for session in sessions[1:]))


async def test_a_region_that_drains_once_more_tells_its_streams_once_more(
    engine: EngineProcess, world: RelayWorld
) -> None:
    await world.start(engine.address)
    link = await world.link()
    session = await granted(link)

    def told() -> int:
        return sum(isinstance(event, MoveAway) for event in session.events)

    for times in (1, 2):
        world.status = msgspec.structs.replace(world.status, state=RegionState.draining)
        await until(lambda times=times: told() == times, what="to be told")  # type: ignore[misc]
        world.status = msgspec.structs.replace(world.status, state=RegionState.active)
        await until(lambda: not link.is_draining, what="the region's return")


async def test_a_region_that_is_no_peer_any_more_opens_nothing_and_has_the_grace_to_move(
    engine: EngineProcess, world: RelayWorld
) -> None:
    await world.start(engine.address, expired_grace_ms=1_000)
    link = await world.link()
    session = await granted(link)
    world.peers.clear()
    left_at_s = time.monotonic()
    late = Listener("late")
    late.open(link)
    await late.until_over()
    assert late.end == Refused(1, RefusalReason.draining)
    await session.until_over()
    assert session.end == Lost(1, LossReason.link_lost)
    assert time.monotonic() - left_at_s > 0.9
    await until(lambda: link.last_break is LinkBreak.untrusted)
    assert not link.is_connected


async def test_an_engine_that_drains_behind_a_relay_moves_streams(engine: EngineProcess, world: RelayWorld) -> None:
    await world.start(engine.address)
    session = await granted(await world.link())
    engine.process.send_signal(signal.SIGTERM)
    await until(lambda: any(isinstance(event, MoveAway) for event in session.events))
    (moved,) = [event for event in session.events if isinstance(event, MoveAway)]
    assert (moved.epoch, moved.reason) == (1, MoveReason.engine_draining)
    session.cancel()


async def test_a_certificate_is_renewed_under_live_streams(engine: EngineProcess, world: RelayWorld) -> None:
    await world.start(engine.address)
    certificates = Certificates(world.authority.issue(HERE))
    world.run(certificates.run())
    link = await world.link(certificates=certificates)
    before = await granted(link, "before")
    before.say(PIECES[0])
    first = certificates.current
    world.authority.issue(THERE)
    world.authority.issue(HERE)
    await until(lambda: certificates.current != first, what="the new certificate")
    await until(lambda: world.sample("patchbay_relay_links", region=HERE) == 2, what="the second connection")
    await until(lambda: link.is_connected)
    after = await granted(link, "after")
    for session, pieces in ((before, PIECES[1:]), (after, PIECES)):
        await session.say_all(pieces)
        await session.until_over()
    assert before.told == after.told
    await until(lambda: world.sample("patchbay_relay_links", region=HERE) == 1, what="the end of the first connection")
    assert link.is_connected
    assert link.last_break is None


async def test_a_link_does_not_outlive_its_peer_s_certificate_by_more_than_the_grace(
    engine: EngineProcess, world: RelayWorld
) -> None:
    await world.start(engine.address, expired_grace_ms=0)
    link = await world.link(certificates=Certificates(world.authority.issue(HERE, valid_for_s=4)))
    session = await granted(link)
    await until(lambda: session.end == Lost(1, LossReason.link_lost))
    await until(lambda: link.last_break is LinkBreak.untrusted)
