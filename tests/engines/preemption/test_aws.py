"""Promises of the source for Amazon EC2, kept against a server that answers as IMDSv2 does."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.preemption.asking import Answer, SourceAway
from engines.preemption.aws import AwsSource, _interruption, _rebalance
from policies.preemption import Confidence, MachineAction, NoticeKind
from tests.harness.metadata_servers import AwsReplay, watched
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_S = 0.01


@pytest.fixture
async def imds() -> AsyncIterator[AwsReplay]:
    replay = AwsReplay()
    async with replay.serving():
        yield replay


def watching(imds: AwsReplay, **more: int) -> AwsSource:
    return AwsSource(endpoint=imds.endpoint, poll_interval_s=POLL_S, **more)


async def polls(imds: AwsReplay, more: int = 3) -> None:
    """So many rounds more."""
    enough = imds.count("GET", "/rebalance") + more
    await until(lambda: imds.count("GET", "/rebalance") >= enough, what="polls")


async def test_nothing_pending_is_a_404_and_no_trouble_and_one_token_serves_many_questions(imds: AwsReplay) -> None:
    async with watched(watching(imds)) as heard:
        await polls(imds, 4)
    assert (heard.notices, heard.troubles, heard.returns) == ([], [], ["aws"])
    assert imds.count("PUT", "/latest/api/token") == 1


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
async def test_an_interruption_is_told_once_with_its_time(imds: AwsReplay, action: str) -> None:
    imds.interrupt(action, in_s=118)
    async with watched(watching(imds)) as heard:
        await until(lambda: bool(heard.notices))
        await polls(imds)
    (notice,) = heard.notices
    assert (notice.kind, notice.action, notice.source) == (NoticeKind.interruption, MachineAction(action), "aws")
    assert notice.confidence is Confidence.proven
    assert 115_000 <= notice.lead_ms <= 120_000


async def test_a_rebalance_recommendation_comes_before_and_beside_an_interruption(imds: AwsReplay) -> None:
    imds.rebalance = json.dumps({"noticeTime": "2020-10-27T08:22:00Z"})
    async with watched(watching(imds)) as heard:
        await until(lambda: bool(heard.notices))
        imds.interrupt()
        await until(lambda: len(heard.notices) == 2)
        await polls(imds)
    assert [notice.kind for notice in heard.notices] == [NoticeKind.rebalance, NoticeKind.interruption]


async def test_a_token_that_is_over_is_replaced_at_the_401_and_no_trouble(imds: AwsReplay) -> None:
    async with watched(watching(imds)) as heard:
        await polls(imds)
        imds.expire_tokens()
        imds.interrupt()
        await until(lambda: bool(heard.notices))
    assert heard.troubles == []
    assert imds.count("PUT", "/latest/api/token") == 2


async def test_a_token_is_renewed_before_it_is_over(imds: AwsReplay) -> None:
    async with watched(watching(imds, token_life_s=1)):
        await until(lambda: imds.count("PUT", "/latest/api/token") >= 2)
    assert imds.count("GET", "/instance-action") > 2


@pytest.mark.parametrize(
    "broken",
    [(500, b""), (503, b"busy"), (403, b"IMDS is off"), (200, b"not json"), (200, b"\xff\xfe"), (302, b""), (401, b"")],
)
async def test_a_service_in_trouble_is_told_once_and_the_notice_after_it_is_not_missed(
    imds: AwsReplay, broken: tuple[int, bytes]
) -> None:
    async with watched(watching(imds)) as heard:
        await polls(imds)
        imds.broken = broken
        await until(lambda: bool(heard.troubles))
        await asyncio.sleep(POLL_S * 3)
        imds.broken = None
        imds.interrupt()
        await until(lambda: bool(heard.notices))
    assert [name for name, _ in heard.troubles] == ["aws"]
    assert heard.returns == ["aws", "aws"]


async def test_no_service_at_all_is_trouble_and_nothing_else() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        source = AwsSource(endpoint=f"http://127.0.0.1:{unused.getsockname()[1]}", poll_interval_s=POLL_S)
        async with watched(source) as heard:
            await until(lambda: bool(heard.troubles))
    assert heard.notices == []


async def test_garbage_beside_it_does_not_hide_an_interruption(imds: AwsReplay) -> None:
    imds.rebalance = "<html>"
    imds.interrupt()
    async with watched(watching(imds)) as heard:
        await until(lambda: bool(heard.notices))


@pytest.mark.parametrize("due", ["2001-01-01T00:00:00Z", "2090-01-01T00:00:00Z"])
async def test_a_time_that_cannot_be_proves_nothing(imds: AwsReplay, due: str) -> None:
    imds.action = json.dumps({"action": "terminate", "time": due})
    async with watched(watching(imds)) as heard:
        await until(lambda: bool(heard.notices))
    assert (heard.notices[0].lead_ms, heard.notices[0].confidence) == (None, Confidence.unproven)


async def test_the_service_s_own_clock_counts_where_the_machine_s_is_wrong(imds: AwsReplay) -> None:
    imds.date = "Mon, 18 Sep 2017 08:20:30 GMT"
    imds.action = '{"action": "stop", "time": "2017-09-18T08:22:00Z"}'
    async with watched(watching(imds)) as heard:
        await until(lambda: bool(heard.notices))
    assert (heard.notices[0].lead_ms, heard.notices[0].confidence) == (90_000, Confidence.proven)


NEAR_MISSES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["terminate", "stop", "2017-09-18T08:22:00Z", "2017-09-18"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["action", "time", "noticeTime"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(body=st.text(max_size=60) | NEAR_MISSES.map(json.dumps))
def test_an_answer_is_a_notice_or_no_answer_whatever_it_holds(body: str) -> None:
    for read in (_interruption, _rebalance):
        try:
            notice = read(Answer(200, body, {}))
        except SourceAway:
            continue
        assert notice is not None
        told = json.loads(body)
        assert told.get("action") in ("terminate", "stop", "hibernate") or "noticeTime" in told
