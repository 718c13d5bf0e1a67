"""`patchbay usage`, beside a real Redis and a real exporter."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.metering.entries import MS_PER_HOUR
from tests.harness.exporter import NAMES, ExporterProcess, now_ms, record, unacknowledged, usage_event
from tests.harness.receivers import CloudEventsReceiver
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


def usage(exporter: ExporterProcess | None, *arguments: str) -> Any:
    """`patchbay usage …` with the exporter's settings, in this process: (exit code, JSON or text)."""
    nowhere = {"XDG_STATE_HOME": "/nowhere"}
    done = CliRunner().invoke(
        app, ["usage", *arguments], env=nowhere | ({} if exporter is None else exporter.environment)
    )
    if "--json" in arguments and done.stdout:
        return done.exit_code, json.loads(done.stdout)
    return done.exit_code, done.output


async def usage_beside(exporter: ExporterProcess, *arguments: str) -> Any:
    """The same while receivers of this loop go on."""
    return await asyncio.to_thread(usage, exporter, *arguments)


async def test_reconcile_tells_equal_from_on_its_way_from_refused_from_lost(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    at_ms = now_ms() - 2 * MS_PER_HOUR
    events = [usage_event("acme", number, at_ms=at_ms) for number in range(20)]
    async with CloudEventsReceiver() as receiver:
        sink = {"kind": "http", "name": "meter", "url": receiver.endpoint}
        exporter = ExporterProcess(tmp_path / "e", redis_server.url, sink)

        async def reconcile() -> tuple[int, dict[str, Any]]:
            code, (row,) = await usage_beside(exporter, "reconcile", "--json")
            return code, row

        async def is_equal() -> bool:
            return (await reconcile())[0] == 0

        with exporter:
            record(redis_server, *events)
            await until(lambda: unacknowledged(redis_server, "meter", "acme") == 0)
            code, row = await reconcile()
            total_us = sum(event.compute_us for event in events)
            assert (code, row["verdict"], row["is_complete"]) == (0, "equal", True)
            assert row["settled_us"] == row["recorded_us"] == row["delivered_us"] == total_us

        late = usage_event("acme", 20, at_ms=at_ms)
        record(redis_server, late)
        code, row = await reconcile()
        assert (code, row["verdict"], row["in_flight_us"]) == (75, "in_flight", late.compute_us)

        receiver.refuses = lambda event: event["id"] == late.id
        with exporter:
            await until(lambda: unacknowledged(redis_server, "meter", "acme") == 0)
            _code, listed = await usage_beside(exporter, "dead-letters", "list", "--json")
            assert [(letter["id"], letter["reason"]) for letter in listed] == [(late.id, "status_400")]
            code, row = await reconcile()
            assert (code, row["verdict"], row["dead_us"], row["dead_ids"]) == (
                1,
                "dead_letters",
                late.compute_us,
                [late.id],
            )
            receiver.refuses = lambda _event: False
            marked = await usage_beside(exporter, "dead-letters", "retry", "--id", late.id, "--json")
            assert marked == (0, {"marked": 1, "left": {"may_have_arrived": 0, "no_longer_known": 0}})
            await until(lambda: late.id in receiver.events, what="the dead letter")
            await until_true(is_equal, what="an equal hour")

        with redis_server.client() as client:
            client.hincrby(NAMES.tally("acme"), f"{at_ms // MS_PER_HOUR}:settled_us", 7)
            code, row = await reconcile()
            assert (code, row["verdict"], row["open_us"]) == (1, "open", 7)
            client.hincrby(NAMES.tally("acme"), f"{at_ms // MS_PER_HOUR}:recorded_us", 7)
            code, row = await reconcile()
            assert (code, row["verdict"], row["lost_us"]) == (1, "lost", 7)


def test_show_tells_what_an_org_holds_and_how_far_its_sinks_are(redis_server: RedisServer, tmp_path: Path) -> None:
    event = usage_event("acme", 1)
    record(redis_server, event)
    with redis_server.client() as client:
        org = NAMES.org("acme")
        client.hset(f"{org}:bucket:o", mapping={"balance_us": 5, "held_us": 2})
        client.hset(f"{org}:bucket:k:abc", mapping={"balance_us": 3, "held_us": 1})
        client.zadd(f"{org}:leases:o", {"live": now_ms() + 60_000, "over": now_ms() - 60_000})
        client.xgroup_create(NAMES.meter("acme"), "meter", id="0")
    exporter = ExporterProcess(
        tmp_path, redis_server.url, {"kind": "http", "name": "meter", "url": "http://127.0.0.1:9/"}
    )
    _code, (row,) = usage(exporter, "show", "--org", "acme", "--json")
    assert row["levels"] == [
        {"level": "k:abc", "balance_us": 3, "held_us": 1, "sessions": 0},
        {"level": "o", "balance_us": 5, "held_us": 2, "sessions": 1},
    ]
    assert (row["settled_us"], row["recorded_us"]) == (event.compute_us, event.compute_us)
    assert row["lag"]["meter"]["entries"] == 1
    _code, (whole,) = usage(exporter, "show", "--json")
    assert [level["level"] for level in whole["levels"]] == ["o"]
    assert "acme" in usage(exporter, "show")[1]


def test_without_a_sent_log_or_redis_the_reason_is_said(redis_server: RedisServer, tmp_path: Path) -> None:
    sink = {"kind": "http", "name": "meter", "url": "http://127.0.0.1:9/"}
    code, said = usage(ExporterProcess(tmp_path, redis_server.url, sink), "reconcile")
    assert (code, "no sent log" in said) == (66, True)
    code, said = usage(ExporterProcess(tmp_path, "redis://127.0.0.1:9/0", sink), "show")
    assert (code, "unreachable" in said) == (69, True)
    assert usage(None, "show")[0] == 64, "no region runs here"
