"""Promises of a stream in a pool: a refusal that another replica may mend is not heard by the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    OpenStream,
    Progress,
    RefusalReason,
    Refused,
    StreamOptions,
)
from regions.links.pool_stream import PoolStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import StreamEvent

pytestmark = pytest.mark.unit

ASKED = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
GRANTED = Granted(1, "m", "1", 16_000)
FULL = Refused(1, RefusalReason.no_free_slot, 500)
ASTRAY = Refused(1, RefusalReason.not_permitted, None, "other_region")


def final(reason: EndReason = EndReason.finish) -> FinalResult:
    return FinalResult(1, 0, 10, "", (), reason)


class Replica:
    """Remembers what it is told, and what is said of it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[object] = []
        self.verdicts: list[str] = []
        self.takes_streams = True

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> Replica:
        self.say = on_event
        return self

    def send_audio(self, pcm16: bytes) -> None:
        self.told.append(pcm16)

    def finalize(self, at_sample: int) -> None:
        self.told.append(at_sample)

    def finish(self, at_sample: int) -> None:
        self.told.append(("finish", at_sample))

    def cancel(self, reason: LossReason | None = None) -> None:
        self.told.append(("cancel", reason))

    def went_well(self, *, opened_at_ms: int) -> None:
        self.verdicts.append(f"well {opened_at_ms}")

    def went_wrong(self, *, opened_at_ms: int) -> None:
        self.verdicts.append(f"wrong {opened_at_ms}")

    def came_to_nothing(self) -> None:
        self.verdicts.append("nothing")


class World:
    """A pool with these other replicas, and one session."""

    def __init__(self, *others: Replica) -> None:
        self.first = Replica("first")
        self.others = list(others)
        self.heard: list[StreamEvent] = []
        self.tried: list[frozenset[str]] = []
        self.over_count = 0
        self.stream = PoolStream(self, self.first, ASKED, self.heard.append)

    def choose_again(self, stream: OpenStream, tried: frozenset[str]) -> Replica | None:
        self.tried.append(tried)
        return self.others.pop(0) if self.others else None

    def now_ms(self) -> int:
        return 7

    def over(self, stream: PoolStream) -> None:
        self.over_count += 1


def test_a_refused_stream_goes_to_another_replica_unseen_and_audio_follows_it() -> None:
    second = Replica("second")
    world = World(second)
    world.first.say(FULL)
    assert (world.heard, world.tried) == ([], [frozenset({"first"})])
    second.say(GRANTED)
    world.stream.send_audio(b"ab")
    world.stream.finalize(5)
    world.stream.finish(10)
    second.say(final())
    assert world.heard == [GRANTED, final()]
    assert second.told == [b"ab", 5, ("finish", 10)]
    assert (world.first.verdicts, second.verdicts) == (["nothing"], ["well 7"])
    assert world.over_count == 1


def test_a_replica_that_is_not_where_it_should_be_costs_the_session_nothing() -> None:
    second = Replica("second")
    world = World(second)
    world.first.say(ASTRAY)
    second.say(GRANTED)
    assert world.heard == [GRANTED]


def test_its_end_frees_a_slot_while_it_has_one_on_a_replica_that_stays() -> None:
    world = World()
    before = world.stream.frees_slot
    world.first.say(GRANTED)
    while_it_stays = world.stream.frees_slot
    world.first.takes_streams = False
    assert (before, while_it_stays, world.stream.frees_slot) == (False, True, False)


def test_when_no_other_replica_takes_it_the_refusal_is_heard() -> None:
    second = Replica("second")
    world = World(second)
    world.first.say(FULL)
    second.say(FULL)
    assert world.heard == [FULL]
    assert world.tried[-1] == frozenset({"first", "second"})
    assert world.stream.replica is None


@pytest.mark.parametrize("reason", [RefusalReason.bad_options, RefusalReason.unsupported_language])
def test_what_is_wrong_with_the_stream_itself_is_asked_nobody_else(reason: RefusalReason) -> None:
    world = World(Replica("second"))
    world.first.say(Refused(1, reason))
    assert world.heard == [Refused(1, reason)]
    assert world.tried == []


def test_a_link_that_breaks_before_the_answer_costs_a_retry_and_after_it_is_a_loss() -> None:
    second = Replica("second")
    world = World(second)
    world.first.say(Lost(1, LossReason.link_lost))
    second.say(GRANTED)
    second.say(Lost(1, LossReason.link_lost))
    assert world.heard == [GRANTED, Lost(1, LossReason.link_lost)]
    assert second.verdicts == ["nothing"], "a link that broke says nothing of an engine that comes back"


def test_a_loss_counts_against_the_replica_even_after_a_final() -> None:
    world = World()
    world.first.say(GRANTED)
    world.first.say(Progress(1, 5, 1))
    world.first.say(final(EndReason.finalize))
    world.first.say(Lost(1, LossReason.engine_failed))
    assert world.first.verdicts == ["well 7", "wrong 7"]


def test_a_session_that_gives_up_says_why_once() -> None:
    world = World()
    world.first.say(GRANTED)
    world.stream.cancel(LossReason.silent)
    world.stream.cancel()
    assert world.first.verdicts == ["wrong 7"]
    assert world.first.told == [("cancel", LossReason.silent)]
    assert world.over_count == 1
