"""Stripe's meter event stream, version 2, against a receiver with the documented limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.metering.sinks.interface import Accepted, Outgoing, Refused, TryAgain
from gateway.metering.sinks.settings import StripeEventStreamSettings
from gateway.metering.sinks.stripe_event_stream import StripeEventStream
from tests.harness.exporter import usage_event
from tests.harness.faults import LostReply, Status
from tests.harness.stripe_receiver import SESSION_S, StripeReceiver

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration


def stripe(receiver: StripeReceiver, **settings: Any) -> StripeEventStream:
    tree = {
        "kind": "stripe_event_stream",
        "name": "stripe",
        "api_key": receiver.api_key,
        "api_url": receiver.url,
        "stream_url": receiver.url,
        "meters": [{"event_name": "speech"}],
        "customer_template": "cus_{org}",
        "batch_events": 100,
    } | settings
    return StripeEventStream(StripeEventStreamSettings.model_validate(tree))


async def test_a_hundred_events_are_one_request_of_one_session(outgoing: Callable[..., list[Outgoing]]) -> None:
    async with StripeReceiver() as receiver:
        sink = stripe(receiver)
        assert await sink.deliver(outgoing(count=100)) == [Accepted()] * 100
        assert await sink.deliver(outgoing(usage_event("acme", 777))) == [Accepted()]
        assert receiver.requests_of_stream == [100, 1]
        assert len(receiver.sessions) == 1
        assert receiver.totals == {("cus_acme", "speech"): 101 * 30_000}
        await sink.aclose()


async def test_a_session_that_ended_early_is_renewed_and_the_batch_goes_out(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    async with StripeReceiver() as receiver:
        sink = stripe(receiver)
        assert await sink.deliver(outgoing(count=1)) == [Accepted()]
        receiver.offset_s = SESSION_S + 1
        assert await sink.deliver(outgoing(count=2)) == [Accepted()] * 2
        assert len(receiver.sessions) == 2
        await sink.aclose()


async def test_without_a_session_nothing_is_sent_and_the_batch_waits(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    async with StripeReceiver() as receiver:
        sink = stripe(receiver)
        receiver.faults.then(Status(429, "4"), Status(200))
        assert await sink.deliver(outgoing(count=1)) == [TryAgain("session_status_429", 4_000)]
        assert await sink.deliver(outgoing(count=1)) == [TryAgain("session_status_200")]
        assert receiver.requests_of_stream == []
        await sink.aclose()


async def test_a_batch_whose_answer_was_lost_is_counted_once(outgoing: Callable[..., list[Outgoing]]) -> None:
    async with StripeReceiver() as receiver:
        sink = stripe(receiver)
        await sink.deliver(outgoing(usage_event("acme", 99)))
        receiver.faults.then(LostReply())
        batch = outgoing(count=5)
        assert await sink.deliver(batch) == [TryAgain("connection_lost", may_have_arrived=True)] * 5
        assert await sink.deliver(batch) == [Accepted()] * 5
        assert receiver.totals == {("cus_acme", "speech"): 6 * 30_000}
        await sink.aclose()


async def test_an_org_without_a_customer_holds_up_no_other() -> None:
    events = [usage_event("acme", 1), usage_event("nobody", 2)]
    async with StripeReceiver() as receiver:
        sink = stripe(receiver, customer_template=None, customers={"acme": "cus_acme"})
        mapped, unmapped = await sink.deliver([Outgoing(event, event.id) for event in events])
        assert mapped == Accepted()
        assert isinstance(unmapped, Refused)
        assert unmapped.reason == "unmapped_org"
        await sink.aclose()
