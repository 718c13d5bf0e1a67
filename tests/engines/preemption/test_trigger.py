"""Promises of the notice by hand."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.preemption.trigger import BadNotice, TriggerSource, read_notice
from policies.preemption import Confidence, MachineAction, NoticeKind
from tests.harness.metadata_servers import watched
from tests.harness.waiting import until


async def post(port: int, body: str, content_type: str = "application/json") -> int:
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"http://127.0.0.1:{port}/preempt", data=body.encode(), headers={"Content-Type": content_type}
        ) as answer,
    ):
        return answer.status


async def test_a_posted_notice_is_told_and_a_page_in_a_browser_cannot_post_one() -> None:
    source = TriggerSource(host="127.0.0.1", port=0)
    await source.start()
    async with watched(source) as heard:
        await until(lambda: bool(heard.returns))
        assert await post(source.port, '{"lead_s": 30}') == 202
        assert await post(source.port, '{"lead_s": 30}', "text/plain") == 415
        assert await post(source.port, '{"lead_s": -1}') == 400
        assert await post(source.port, "\xff" * 5_000) == 413
    (notice,) = heard.notices
    assert (notice.kind, notice.lead_ms, notice.confidence) == (
        NoticeKind.interruption,
        30_000,
        Confidence.unproven,
    )


async def test_an_address_that_is_taken_is_said_at_once() -> None:
    first = TriggerSource(host="127.0.0.1", port=0)
    await first.start()
    second = TriggerSource(host="127.0.0.1", port=first.port)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.aclose()
    await first.aclose()


@pytest.mark.unit
def test_everything_may_be_left_out_and_everything_may_be_said() -> None:
    assert read_notice("").lead_ms is None
    body = {"lead_s": 120, "kind": "rebalance", "action": "hibernate", "is_proven": True}
    notice = read_notice(json.dumps(body))
    assert (notice.kind, notice.action, notice.lead_ms) == (NoticeKind.rebalance, MachineAction.hibernate, 120_000)
    assert notice.confidence is Confidence.proven


KEYS = st.sampled_from(["lead_s", "kind", "action", "is_proven", "more"])
VALUES: Any = st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)


@pytest.mark.unit
@given(body=st.text(max_size=30) | st.dictionaries(KEYS, VALUES).map(json.dumps))
def test_a_body_is_a_notice_or_a_mistake(body: str) -> None:
    try:
        notice = read_notice(body)
    except BadNotice:
        return
    assert notice.lead_ms is None or 0 <= notice.lead_ms <= 86_400_000
