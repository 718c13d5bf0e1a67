"""Regions keep copies of where each other's sessions stand, and take them up from each other."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client import CollectorRegistry

from gateway.resumption.metrics import ResumptionMetrics
from gateway.resumption.peers import PeerRegions
from gateway.resumption.region_service import RegionService
from gateway.resumption.settings import FINISHED_TTL_S
from policies.residency.decision import Situation
from regions.links.peer_channels import PeerChannel
from tests.harness.commit_points import KeepingGateway, keeping, point_at
from tests.harness.ports import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@contextlib.asynccontextmanager
async def serving(port: int, gateway: KeepingGateway, closed: list[tuple[str, str]]) -> AsyncIterator[grpc.aio.Server]:
    """What a relay does for it, without certificates."""

    async def close_left(org: str, tab_id: str) -> None:
        closed.append((org, tab_id))

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((RegionService(gateway.points, close_left).handler,))
    assert server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def peers_of(region: str, ports: dict[str, int]) -> AsyncIterator[PeerRegions]:
    async with contextlib.AsyncExitStack() as stack:
        channels = []
        for name, port in ports.items():
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
            channels.append(PeerChannel(name, channel))
        yield PeerRegions(
            lambda: channels,
            ResumptionMetrics(CollectorRegistry()),
            region=region,
            copies=1,
            claim_timeout_ms=1_000,
        )


async def test_a_session_goes_on_in_another_region_by_its_home_or_by_the_copy(tmp_path: Path) -> None:
    here, there = RedisServer(tmp_path / "here").start(), RedisServer(tmp_path / "there").start()
    ports = {"here": free_port(), "there": free_port(), "elsewhere": free_port()}
    closed: list[tuple[str, str]] = []
    try:
        async with (
            peers_of("here", {"elsewhere": ports["elsewhere"], "there": ports["there"]}) as peers_here,
            peers_of("there", {"here": ports["here"]}) as peers_there,
            keeping(here.url, region="here", peers=peers_here) as home,
            keeping(there.url, region="there", peers=peers_there) as other,
            serving(ports["there"], other, []),
        ):
            async with serving(ports["here"], home, closed):
                log = home.open(point_at(0), permitted=frozenset({"here", "there"}))
                log.commit(point_at(16_000))
                with there.client() as client:
                    await until(lambda: bool(client.exists("patchbay:{acme}:copy:s")), what="the copy")
                home.open(point_at(session_id="secret"), permitted=frozenset({"here"}))
                # Its home knows best, and closes what it still has of it.
                assert await other.points.claim("s", "acme", "here") == point_at(16_000, generation=2)
                assert closed == [("acme", "s")]
                assert home.superseded == ["s"]
                assert await other.points.claim("s", "strangers", "here") is None
                assert other.figure("patchbay_resumption_resumed_total", known_by="home_region") == 1
                kept = home.open(point_at(session_id="kept"), permitted=frozenset({"here", "there"}))
                with there.client() as client:
                    await until(lambda: bool(client.exists("patchbay:{acme}:copy:kept")), what="the copy")
                    assert not client.exists("patchbay:{acme}:copy:secret")
            # The home is gone, with its Redis.
            here.kill()
            assert await other.points.claim("kept", "acme", "here") == point_at(session_id="kept", generation=2)
            assert other.figure("patchbay_resumption_resumed_total", known_by="copy") == 1
            # It was cut off only, and comes back: it learns that its session goes on elsewhere.
            kept.commit(point_at(32_000, session_id="kept"))
            await until(lambda: "kept" in home.superseded, what="the news")
            assert await other.points.claim("unknown", "acme", "here") is None
            assert await other.points.claim("unknown", "acme", "nowhere") is None
    finally:
        here.stop()
        there.stop()


async def test_a_region_keeps_no_copy_that_its_own_policy_forbids_and_none_stays_that_is_forbidden_by_now(
    tmp_path: Path,
) -> None:
    there = RedisServer(tmp_path / "there").start()
    port, both = free_port(), frozenset({"here", "there"})
    german, american = Situation("eu"), Situation("us")
    copy = "patchbay:{acme}:copy:%s"
    try:
        async with (
            peers_of("here", {"there": port}) as peers,
            keeping(None, region="here", peers=peers) as home,
            keeping(there.url, region="there") as other,
            serving(port, other, []),
        ):
            with there.client() as client:
                other.points.may_keep = lambda situation: situation == german
                refused = home.open(point_at(session_id="us", situation=american), permitted=both)
                nobodys = home.open(point_at(session_id="nobodys"), permitted=both)
                taken = home.open(point_at(session_id="eu", situation=german), permitted=both)
                await until(lambda: bool(client.exists(copy % "eu")), what="the copy")
                assert not client.exists(copy % "us", copy % "nobodys")
                assert client.ttl(copy % "eu") > FINISHED_TTL_S
                # Its policy becomes narrower: what it has does not stay.
                other.points.may_keep = lambda _situation: False
                taken.commit(point_at(16_000, session_id="eu", situation=german))
                await until(lambda: client.ttl(copy % "eu") <= FINISHED_TTL_S, what="the end of the copy")
                # So where the home's does.
                other.points.may_keep = lambda _situation: True
                for log in (refused, nobodys):
                    log.permit(both, german)
                await until(lambda: client.exists(copy % "us", copy % "nobodys") == 2, what="the copies")
                refused.permit(frozenset({"here"}), german)
                await until(lambda: client.ttl(copy % "us") <= FINISHED_TTL_S, what="the end of the copy")
                assert client.ttl(copy % "nobodys") > FINISHED_TTL_S
    finally:
        there.stop()


async def test_a_session_that_comes_back_is_asked_for_where_it_was_last(tmp_path: Path) -> None:
    """What its first region knows of it is old, and whoever has it by now must lose it."""
    here, there = RedisServer(tmp_path / "here").start(), RedisServer(tmp_path / "there").start()
    ports = {"here": free_port(), "there": free_port()}
    closed: list[tuple[str, str]] = []
    try:
        async with (
            peers_of("here", {"there": ports["there"]}) as peers_here,
            peers_of("there", {"here": ports["here"]}) as peers_there,
            keeping(here.url, region="here", peers=peers_here) as first,
            keeping(there.url, region="there", peers=peers_there) as second,
            serving(ports["here"], first, []),
            serving(ports["there"], second, closed),
        ):
            first.open(point_at(0)).close(is_finished=False)
            with here.client() as client:
                await until(lambda: bool(client.exists("patchbay:{acme}:commit:s")), what="the point")
            for generation in (2, 3):  # the first attempt came to nothing
                assert await second.points.claim("s", "acme", "here") == point_at(0, generation=generation)
            second.open(point_at(32_000, generation=3, tab_id="s.3"))
            claimed = await first.points.claim("s", "acme", "there")
            assert claimed == point_at(32_000, generation=4, tab_id="s.3")
            assert second.superseded == ["s"]
            assert closed == [("acme", "s.3")]
            first.open(point_at(32_000, generation=4, tab_id="s.4"))
            with here.client() as client:
                await until(lambda: client.hget("patchbay:{acme}:commit:s", "tab") == "s.4", what="the new point")
            assert first.superseded == []
    finally:
        here.stop()
        there.stop()


async def test_a_copy_that_came_late_ends_no_session_that_was_taken_anew(tmp_path: Path) -> None:
    there = RedisServer(tmp_path / "there").start()
    port = free_port()
    try:
        async with (
            peers_of("here", {"there": port}) as peers_here,
            keeping(None, region="here", peers=peers_here) as first,
            keeping(there.url, region="there") as second,
            serving(port, second, []),
        ):
            permitted = frozenset({"there"})
            await second.points.keep_copies([point_at(0, generation=5, tab_id="other")], [])
            peers_here.put(point_at(0, tab_id="s"), permitted)  # of a connection that is lost by now
            first.points.open(
                point_at(0, generation=6, tab_id="s.6"), frozenset(), lambda: first.superseded.append("s.6")
            )
            with there.client() as client:
                for name in ("next", "last"):  # which is sent when the answer before it was heard
                    peers_here.put(point_at(session_id=name), permitted)
                    key = f"patchbay:{{acme}}:copy:{name}"
                    await until(lambda key=key: bool(client.exists(key)), what="the copy")  # type: ignore[misc]
            assert first.superseded == []
    finally:
        there.stop()
