"""Promises of what waits to be sent."""

from __future__ import annotations

import asyncio

import pytest

from regions.links.outbox import Outbox
from regions.links.settings import LinkSettings

pytestmark = pytest.mark.unit


def outbox(**limits: int) -> Outbox:
    return Outbox(LinkSettings.model_validate(limits))


async def test_what_is_added_between_two_messages_shares_one() -> None:
    box = outbox()
    box.queue(b"a")
    box.queue_audio(b"h", b"pcm")
    await asyncio.wait_for(box.wait(), 60)
    assert box.next_message() == b"ahpcm"
    assert box.next_message() == b""


async def test_a_message_is_closed_by_its_size_and_by_its_commands() -> None:
    by_count = outbox(max_commands_per_message=2)
    for command in (b"a", b"b", b"c"):
        by_count.queue(command)
    assert [by_count.next_message() for _ in range(3)] == [b"ab", b"c", b""]
    by_size = outbox(max_message_bytes=65_536)
    for _ in range(3):
        by_size.queue_audio(b"", bytes(40_000))
    assert [len(by_size.next_message()) for _ in range(2)] == [80_000, 40_000]


async def test_more_than_may_wait_breaks_it_and_nothing_is_taken_after() -> None:
    box = outbox(max_queued_bytes=65_536, max_message_bytes=65_536)
    box.queue(bytes(60_000))
    message = box.next_message()
    box.sent(message)
    box.queue(bytes(60_000))
    assert not box.is_broken
    box.queue(bytes(10_000))
    assert box.is_broken
    box.queue(b"late")
    box.queue_audio(b"late", b"too")
    assert [len(box.next_message()) for _ in range(2)] == [70_000, 0]


async def test_a_nudge_wakes_who_waits_with_nothing_to_send() -> None:
    box = outbox()
    box.nudge()
    await asyncio.wait_for(box.wait(), 60)
    assert box.next_message() == b""
