"""What Redis and the sent logs say of usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gateway.metering.exporter.reconciliation import HourAtSink, Verdict
from gateway.metering.exporter.sent_log import Death, Logged, SentLog
from gateway.metering.exporter.usage_reader import UsageReader
from gateway.redis_link.client import RedisLink
from gateway.redis_link.settings import RedisSettings
from tests.harness.exporter import record, usage_event

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


async def test_each_event_of_an_hour_counts_at_each_sink_for_what_became_of_it_there(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    delivered, dead, trying, unread, gone = events = [usage_event("acme", number) for number in range(5)]
    record(redis_server, *events[:4])
    hour = delivered.hour
    one, two = SentLog(tmp_path / "one"), SentLog(tmp_path / "two")
    logged = [Logged(event.id, event) for event in events]
    one.tried("a", logged[:3], at_ms=[1, 1, 1])
    one.died("a", [(logged[1], Death("status_400", "", may_have_arrived=False))], now_ms=1)
    two.tried("a", logged[:1], at_ms=[1])
    two.delivered("a", logged[:1])
    two.tried("b", logged[4:], at_ms=[1])
    two.delivered("b", logged[4:])
    link = RedisLink(RedisSettings(urls=(SecretStr(redis_server.url),)))
    reader = UsageReader(link, ["a", "b"], is_cluster=False)
    row_a, row_b = await reader.hours("acme", [one, two], from_hour=hour, to_hour=hour)
    await link.aclose()
    recorded_us = sum(event.compute_us for event in events[:4])
    assert row_a.sums == HourAtSink(
        settled_us=recorded_us,
        recorded_us=recorded_us,
        delivered_us=delivered.compute_us,
        in_flight_us=trying.compute_us + unread.compute_us,
        dead_us=dead.compute_us,
    )
    assert (row_a.dead_ids, row_a.missing_ids) == ((dead.id,), (gone.id,))
    assert (row_b.sums.verdict, row_b.sums.surplus_us) == (Verdict.surplus, gone.compute_us)
    one.close()
    two.close()
