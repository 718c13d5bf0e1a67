"""Who is let in at an edge process, and what becomes of those who are in when it ends."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from gateway.webtransport.datagram_lane import LaneRules
from gateway.webtransport.door import DoorRules, SessionDoor
from gateway.webtransport.edge_metrics import EdgeMetrics
from gateway.webtransport.hopped_session import SessionRules
from tests.harness.fake_webtransport_session import FakeWebTransportSession, connect_request
from tests.harness.hop_end import HopEnd, hop_and_its_end
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

SESSION = SessionRules(4_096, LaneRules(20, 8))


@contextlib.asynccontextmanager
async def door_with(
    *, origins: frozenset[str] = frozenset(), max_sessions: int = 2
) -> AsyncIterator[tuple[SessionDoor, HopEnd, CollectorRegistry]]:
    registry = CollectorRegistry()
    async with hop_and_its_end() as (hop, end):
        door = SessionDoor(hop, DoorRules(origins, max_sessions, SESSION), EdgeMetrics(registry))
        yield door, end, registry
        await door.empty(5.0)


async def test_sessions_are_where_the_protocol_says() -> None:
    async with door_with() as (door, _, registry):
        assert door.knock(connect_request("/v1/stream")) == 200
        assert door.knock(connect_request("/v1/stream?token=x")) == 200
        for path in ("/", "/v1/streams", "/v1/stream/", "/v1/stream%3Ftoken", "*", ""):
            assert door.knock(connect_request(path)) == 404
        assert registry.get_sample_value("patchbay_webtransport_sessions_refused_total", {"status": "404"}) == 6


async def test_pages_of_other_origins_are_refused_and_programs_are_not_asked() -> None:
    async with door_with(origins=frozenset({"https://app.example"})) as (door, _, _):
        statuses = [
            door.knock(connect_request(headers=(("origin", origin),)))
            for origin in ("https://app.example", "https://app.example:444", "http://app.example", "null")
        ]
        assert statuses == [200, 403, 403, 403]
        assert door.knock(connect_request()) == 200


async def test_a_full_process_lets_nobody_in_until_somebody_leaves() -> None:
    async with door_with(max_sessions=2) as (door, _, registry):
        sessions = [FakeWebTransportSession() for _ in range(2)]
        for session in sessions:
            assert door.knock(session.request) == 200
            door.enter(session)
        assert door.knock(connect_request()) == 503
        assert registry.get_sample_value("patchbay_webtransport_sessions") == 2
        assert sessions[0].events is not None
        sessions[0].events.closed(None, "")
        await until(lambda: door.sessions == 1)
        assert door.knock(connect_request()) == 200
        assert registry.get_sample_value("patchbay_webtransport_sessions") == 1


async def test_a_door_that_is_closed_keeps_those_who_are_in() -> None:
    async with door_with() as (door, end, _):
        session = FakeWebTransportSession()
        door.enter(session)
        await end.socket()
        door.close()
        assert door.knock(connect_request()) == 503
        assert session.closed is None
        assert door.sessions == 1
        await door.empty(5.0)
        assert session.closed == (1_012, "draining; retry_after_ms=100")
        assert door.sessions == 0


async def test_a_session_that_does_not_end_in_time_is_cut() -> None:
    async with door_with() as (door, end, _):
        end.is_reading.clear()
        session = FakeWebTransportSession()
        door.enter(session)
        await end.socket()
        await door.empty(0.05)
        assert door.sessions == 0
        end.is_reading.set()


async def test_a_fault_of_ours_ends_one_session_alone() -> None:
    async with door_with() as (door, end, _):
        broken = FakeWebTransportSession(connect_request(protocols=(None,)))  # which nothing below expects
        door.enter(broken)
        await until(lambda: door.sessions == 0)
        assert broken.closed == (1_011, "internal_error")
        other = FakeWebTransportSession()
        door.enter(other)
        await end.socket()
        assert other.closed is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
async def test_nothing_that_may_change_something_is_passed_on(method: str) -> None:
    async with door_with() as (door, end, _):
        answer = await door.page(connect_request("/v1/regions", method=method))
        assert (answer.status, dict(answer.headers)["allow"]) == (405, "GET, HEAD")
        assert end.requests == []
