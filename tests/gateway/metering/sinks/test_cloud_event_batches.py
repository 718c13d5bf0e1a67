"""CloudEvents in batches, to OpenMeter and to anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gateway.metering.sinks.cloud_event_batches import CloudEventBatches
from gateway.metering.sinks.interface import Accepted, Outgoing, Refused, TryAgain
from gateway.metering.sinks.settings import HttpSinkSettings, OpenMeterSettings
from tests.harness.faults import HalfOpen, LostReply, Reset, Status
from tests.harness.receivers import CloudEventsReceiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.integration


def openmeter(receiver: CloudEventsReceiver, **settings: Any) -> CloudEventBatches:
    tree = {"kind": "openmeter", "name": "meter", "url": receiver.url + "/", "timeout_ms": 300} | settings
    return CloudEventBatches(OpenMeterSettings.model_validate(tree), source="here")


async def test_a_batch_goes_out_as_one_request_with_the_token(outgoing: Callable[..., list[Outgoing]]) -> None:
    async with CloudEventsReceiver(bearer="om_1") as receiver:
        sink = openmeter(receiver, token=SecretStr("om_1"))
        batch = outgoing(count=3)
        assert await sink.deliver(batch) == [Accepted()] * 3
        assert receiver.batches == [3]
        assert receiver.compute_us["acme"] == sum(out.event.compute_us for out in batch)
        assert {event["source"] for event in receiver.events.values()} == {"here"}
        await sink.aclose()


async def test_any_receiver_of_cloud_events_has_its_own_path(outgoing: Callable[..., list[Outgoing]]) -> None:
    async with CloudEventsReceiver(path="/in/here") as receiver:
        settings = HttpSinkSettings(kind="http", name="any", url=receiver.endpoint)
        sink = CloudEventBatches(settings, source="here")
        assert await sink.deliver(outgoing(count=1)) == [Accepted()]
        await sink.aclose()


async def test_in_single_mode_each_event_is_a_request_and_none_follows_one_that_failed(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    async with CloudEventsReceiver() as receiver:
        settings = HttpSinkSettings(kind="http", name="any", url=receiver.endpoint, mode="single")
        sink = CloudEventBatches(settings, source="here")
        batch = outgoing(count=3)
        assert await sink.deliver(batch) == [Accepted()] * 3
        assert receiver.batches == [1, 1, 1]
        receiver.faults.then(Status(503))
        first, *others = await sink.deliver(batch)
        assert first == TryAgain("status_503", may_have_arrived=True)
        assert others == [TryAgain("status_503")] * 2
        receiver.refuses = lambda event: event["id"] == batch[1].event_id
        one, two, three = await sink.deliver(batch)
        assert (one, three) == (Accepted(), Accepted())
        assert two == Refused("status_400", '{"title": "bad request"}')
        await sink.aclose()


async def test_a_new_token_in_the_file_is_taken_after_the_old_one_was_refused(
    outgoing: Callable[..., list[Outgoing]], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    async with CloudEventsReceiver(bearer="new") as receiver:
        sink = openmeter(receiver, token_file=file)
        assert await sink.deliver(outgoing(count=1)) == [TryAgain("no_token")]
        file.write_text("old")
        assert await sink.deliver(outgoing(count=1)) == [TryAgain("status_401")]
        file.write_text("new")
        assert await sink.deliver(outgoing(count=1)) == [Accepted()]
        await sink.aclose()


async def test_whatever_happens_on_the_way_is_told_and_bounded_in_time(
    outgoing: Callable[..., list[Outgoing]],
) -> None:
    receiver = CloudEventsReceiver()
    sink = openmeter(receiver)
    batch = outgoing(count=2)
    assert await sink.deliver(batch) == [TryAgain("unreachable")] * 2
    async with receiver:
        receiver.faults.then(Status(429, "3"), Status(503), Reset(), LostReply(), HalfOpen())
        assert await sink.deliver(batch) == [TryAgain("status_429", 3_000)] * 2
        assert await sink.deliver(batch) == [TryAgain("status_503", may_have_arrived=True)] * 2
        assert await sink.deliver(batch) == [TryAgain("connection_lost", may_have_arrived=True)] * 2
        assert receiver.events == {}
        assert await sink.deliver(batch) == [TryAgain("connection_lost", may_have_arrived=True)] * 2
        assert len(receiver.events) == 2
        assert await sink.deliver(batch) == [TryAgain("timed_out", may_have_arrived=True)] * 2
        receiver.refuses = lambda _event: True
        (refused, _other) = await sink.deliver(batch)
        assert isinstance(refused, Refused)
        assert refused.is_of_batch
    await sink.aclose()
