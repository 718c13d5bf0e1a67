"""Promises of the source for Google Compute Engine, kept against a server that hangs and answers as its own does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.preemption.asking import SourceAway
from engines.preemption.gcp import GcpSource, _maintenance
from policies.preemption import Confidence, MachineAction, NoticeKind
from tests.harness.metadata_servers import GcpReplay, watched
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RETRY_S = 0.01


@pytest.fixture
async def server() -> AsyncIterator[GcpReplay]:
    replay = GcpReplay()
    async with replay.serving():
        yield replay


def watching(server: GcpReplay, **more: int) -> GcpSource:
    return GcpSource(endpoint=server.endpoint, poll_interval_s=RETRY_S, **more)


async def test_a_question_hangs_until_the_machine_is_preempted(server: GcpReplay) -> None:
    async with watched(watching(server)) as heard:
        await until(lambda: server.hanging == 2, what="a question for each key")
        asked = len(server.asked)
        assert heard.notices == []
        await server.set("preempted", "TRUE")
        await until(lambda: bool(heard.notices))
    (notice,) = heard.notices
    assert (notice.kind, notice.lead_ms, notice.confidence) == (NoticeKind.interruption, None, Confidence.unproven)
    assert asked <= 4


async def test_the_notice_duration_of_the_machine_is_a_proven_lead(server: GcpReplay) -> None:
    await server.set("preempted", "TRUE")
    async with watched(watching(server, notice_ms=120_000)) as heard:
        await until(lambda: bool(heard.notices))
    assert (heard.notices[0].lead_ms, heard.notices[0].confidence) == (120_000, Confidence.proven)


async def test_the_question_is_asked_again_when_the_server_says_that_nothing_changed(server: GcpReplay) -> None:
    async with watched(watching(server, hang_s=1)) as heard:
        await until(lambda: server.count("GET", "/preempted") >= 3)
        assert (heard.notices, heard.troubles) == ([], [])
        await server.set("preempted", "TRUE")
        await until(lambda: bool(heard.notices))
    assert len(heard.notices) == 1


async def test_a_server_that_answers_at_once_although_nothing_changed_is_not_stormed(server: GcpReplay) -> None:
    server.hangs = False
    async with watched(GcpSource(endpoint=server.endpoint, poll_interval_s=0.1)) as heard:
        await until(lambda: server.count("GET", "/preempted") >= 4)
        began_at_s = time.monotonic()
        await until(lambda: server.count("GET", "/preempted") >= 8)
        assert time.monotonic() - began_at_s >= 0.25
        await server.set("preempted", "TRUE")
        await until(lambda: bool(heard.notices))


async def test_who_does_not_say_that_he_is_google_is_not_believed(server: GcpReplay) -> None:
    server.says_flavor = False
    await server.set("preempted", "TRUE")
    async with watched(watching(server)) as heard:
        await until(lambda: len(heard.troubles) == 2)
    assert heard.notices == []


@pytest.mark.parametrize("broken", [(503, b"Service Unavailable"), (200, b"TRUE"), (404, b""), (500, b"\xff")])
async def test_a_server_that_is_worked_on_is_asked_again(server: GcpReplay, broken: tuple[int, bytes]) -> None:
    server.broken = broken
    async with watched(watching(server)) as heard:
        await until(lambda: server.count("GET", "/preempted") >= 3)
        assert heard.notices == []
        server.broken = None
        await server.set("preempted", "TRUE")
        await until(lambda: bool(heard.notices))
    assert sorted(name for name, _ in heard.troubles) == ["gcp", "gcp maintenance"]


async def test_host_maintenance_is_told_and_withdrawn(server: GcpReplay) -> None:
    async with watched(watching(server)) as heard:
        await until(lambda: server.hanging == 2)
        await server.set("maintenance-event", "MIGRATE_ON_HOST_MAINTENANCE")
        await until(lambda: bool(heard.notices))
        await server.set("maintenance-event", "NONE")
        await until(lambda: bool(heard.withdrawals))
        await server.set("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE")
        await until(lambda: len(heard.notices) == 2)
    assert [notice.action for notice in heard.notices] == [MachineAction.freeze, MachineAction.terminate]
    assert {notice.kind for notice in heard.notices} == {NoticeKind.maintenance}


@pytest.mark.unit
@given(value=st.text(max_size=40).filter(lambda text: text not in ("TRUE", "FALSE")))
def test_a_value_that_is_not_known_is_no_notice(value: str) -> None:
    assert _maintenance(value) is None
    with pytest.raises(SourceAway):
        GcpSource()._preempted(value)
