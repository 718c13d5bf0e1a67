"""Messages on their way to a client: bounded, in order, a newer partial in place of an older one."""

from __future__ import annotations

import asyncio

import pytest

from gateway.client_queue import ClientQueue, OverheardQueue
from gateway.errors import Reason
from gateway.wire.messages import Ack, FinalMessage, PartialMessage

pytestmark = pytest.mark.unit


def partial(end_ms: int) -> PartialMessage:
    return PartialMessage(f"until {end_ms}", 0, end_ms, 0)


async def test_messages_come_out_in_order_and_all_at_once() -> None:
    queue = ClientQueue(bound=4)
    for at_ms in (1, 2, 3):
        assert queue.put(Ack(at_ms))
    assert await queue.take() == ([Ack(1), Ack(2), Ack(3)], None)
    assert len(queue) == 0


async def test_a_newer_partial_takes_the_place_of_one_that_waits() -> None:
    queue = ClientQueue(bound=2)
    queue.put(Ack(0))
    for end_ms in range(100):
        assert queue.put(partial(end_ms))
    assert await queue.take() == ([Ack(0), partial(99)], None)
    assert queue.partials_replaced == 99


async def test_a_partial_never_overtakes_what_came_after_an_older_one() -> None:
    queue = ClientQueue(bound=4)
    queue.put(partial(1))
    queue.put(Ack(1))
    queue.put(partial(2))
    assert await queue.take() == ([partial(1), Ack(1), partial(2)], None)


async def test_a_full_queue_takes_nothing_and_says_so() -> None:
    queue = ClientQueue(bound=2)
    assert [queue.put(Ack(at_ms)) for at_ms in (1, 2, 3)] == [True, True, False]
    assert (await queue.take())[0] == [Ack(1), Ack(2)]


async def test_what_is_queued_is_still_sent_after_the_close() -> None:
    queue = ClientQueue(bound=2)
    queue.put(Ack(1))
    queue.close(Reason.finished)
    queue.close(Reason.internal_error)
    assert await queue.take() == ([Ack(1)], Reason.finished)
    assert await queue.take() == ([], Reason.finished)


async def test_a_waiting_writer_is_woken_by_a_message_and_by_the_close() -> None:
    queue = ClientQueue(bound=2)
    writer = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.put(Ack(1))
    assert await writer == ([Ack(1)], None)
    writer = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.close(Reason.finished)
    assert await writer == ([], Reason.finished)


async def test_a_writer_that_is_cancelled_leaves_the_messages() -> None:
    queue = ClientQueue(bound=2)
    writer = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    queue.put(Ack(1))
    assert (await queue.take())[0] == [Ack(1)]


async def test_to_a_client_that_does_not_read_only_the_reason_is_sent() -> None:
    queue = ClientQueue(bound=2)
    queue.put(Ack(1))
    queue.put(Ack(2))
    queue.replace_all(Ack(3))
    assert await queue.take() == ([Ack(3)], None)


async def test_only_finals_that_the_client_will_be_told_are_overheard() -> None:
    heard: list[FinalMessage] = []
    queue = OverheardQueue(2, heard.append)
    first, second = (FinalMessage(f"final {number}", 0, 900, ()) for number in (1, 2))
    assert [queue.put(message) for message in (partial(1), first, second)] == [True, True, False]
    assert heard == [first]
    assert (await queue.take())[0] == [partial(1), first]
