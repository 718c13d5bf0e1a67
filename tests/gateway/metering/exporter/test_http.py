"""What an exporter answers over HTTP, and what becomes of events that Stripe takes back."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.harness.exporter import ExporterProcess, record, unacknowledged, usage_event
from tests.harness.stripe_receiver import StripeReceiver, post_signed
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Processes that end with the test."""
    with ExitStack() as stack:
        yield stack


def stripe_sink(receiver: StripeReceiver, **settings: Any) -> dict[str, Any]:
    return {
        "kind": "stripe_meter_events",
        "name": "stripe",
        "api_key": receiver.api_key,
        "api_url": receiver.url,
        "webhook_secret": receiver.webhook_secret,
        "meters": [{"event_name": "speech"}],
        "customer_template": "cus_{org}",
    } | settings


async def test_an_event_that_stripe_reports_is_dead_and_the_others_are_delivered_when_they_have_settled(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    good, bad = usage_event("acme", 1), usage_event("ghost", 2)
    async with StripeReceiver() as receiver:
        sink = stripe_sink(receiver, settle_ms=1_500)
        exporter = stack.enter_context(ExporterProcess(tmp_path / "e", redis_server.url, sink))
        webhook = f"{exporter.ready['http']}/webhooks/stripe/stripe"
        record(redis_server, good, bad)
        await until(lambda: len(receiver.arrivals) == 2, what="both events")
        assert unacknowledged(redis_server, "stripe", "acme", "ghost") == 2, "they have not settled"
        assert await receiver.send_reports(webhook) == [200]
        await until(lambda: unacknowledged(redis_server, "stripe", "acme", "ghost") == 0, what="settling")
        with exporter.sent_log() as log:
            (letter,) = log.dead_letters()
            assert (letter.event_id, letter.death.reason) == (bad.id, "reported_meter_event_customer_not_found")
            receiver.customers.add("cus_ghost")
            log.mark_for_retry([letter])
            await until(lambda: receiver.totals["cus_ghost", "speech"] == 30_000, what="the retry")
            await until(lambda: not list(log.dead_letters()))
        figures = await exporter.figures()
        assert figures("patchbay_exporter_died_total", sink="stripe") == 1
        assert set(receiver.arrivals) == {good.id, bad.id, f"{bad.id}-r1"}, "else Stripe takes it for the first"
        assert exporter.stop() == 0


async def test_a_report_without_a_right_signature_changes_nothing(
    redis_server: RedisServer, tmp_path: Path, stack: ExitStack
) -> None:
    async with StripeReceiver() as receiver:
        exporter = stack.enter_context(ExporterProcess(tmp_path / "e", redis_server.url, stripe_sink(receiver)))
        base = exporter.ready["http"]
        webhook = f"{base}/webhooks/stripe/stripe"
        report = {"id": "evt_9", "type": "v1.billing.meter.no_meter_found"}
        assert await post_signed(webhook, report, "wrong") == 400
        assert await post_signed(webhook, report, receiver.webhook_secret, at_s=1.0) == 400
        assert await post_signed(f"{base}/webhooks/stripe/nobody", report, receiver.webhook_secret) == 404
        assert await post_signed(webhook, {"type": "invoice.paid"}, receiver.webhook_secret) == 200
        assert await post_signed(webhook, report, receiver.webhook_secret) == 503, "its whole cannot be fetched"
        unknown = {"sample_errors": [{"request": {"identifier": "x"}}], "code": "no_meter", "error_count": 3}
        whole = report | {"data": {"reason": {"error_types": [unknown]}}}
        assert await post_signed(webhook, whole, receiver.webhook_secret) == 200
        figures = await exporter.figures()
        assert figures("patchbay_exporter_unattributed_errors_total", sink="stripe") == 3
        async with aiohttp.ClientSession() as http, http.get(f"{base}/healthz") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "ok")
        log = exporter.log_file.read_text(encoding="utf-8")
        assert receiver.api_key not in log
        assert receiver.webhook_secret not in log
