"""No stream hears another one's: random interleavings of open, audio, cut, cancel, loss and reuse of slots.

Each interleaving is a handful of moves on a host that lives through all of them, with two models, few slots and a real
inference thread, so a slot changes hands while commands and results of its last owner are still on their way. Each
stream's audio carries a number of its own, which the scripted recogniser says in its words. What a stream hears must be
what it hears when it is alone, cut off where it ended.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest

from engines.errors import BackendFailed
from engines.interface import (
    Granted,
    LossReason,
    Lost,
    OpenStream,
    Progress,
    Refused,
    StreamEvent,
    StreamOptions,
)
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser
from engines.server.shelf import LoadedModel
from engines.server.streams import HostedStream, HostSettings, StreamHost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.contract import StepResult

SLOTS = 3
MODELS = {"first": 2, "second": 3}
"""Each ends its utterances after another number of words."""
SHORT, LONG = 2_000, 100_000
MOST_MOVES = 14
WINDOW_SAMPLES = 80_000
_OVER_S = 20.0


class WatchedRecogniser(ScriptedRecogniser):
    """Knows which slots it holds; fails the next step when it is told to."""

    def __init__(self, script: Script) -> None:
        super().__init__(script, max_slots=SLOTS)
        self.held: set[int] = set()
        self.fails_next = False

    def open(self, slot: int, stream: OpenStream) -> None:
        super().open(slot, stream)
        self.held.add(slot)

    def close(self, slot: int) -> None:
        super().close(slot)
        self.held.discard(slot)

    def step(self, slots: Sequence[int]) -> list[StepResult]:
        if self.fails_next:
            self.fails_next = False
            raise BackendFailed("the test says so")
        return super().step(slots)


def recogniser_of(model: str) -> WatchedRecogniser:
    return WatchedRecogniser(Script(model=model, utterance_blocks=MODELS[model], window_ms=WINDOW_SAMPLES // 16))


@dataclass
class Talker:
    """One stream: what was said to it, and what it may hear."""

    opened: OpenStream
    value: bytes
    hosted: HostedStream | None = None
    said: list[int | None] = field(default_factory=list)
    """Numbers of samples; None for a cut."""
    heard: list[StreamEvent] = field(default_factory=list)
    through_sample: int = 0
    is_finishing: bool = False
    is_over: bool = False
    is_cancelled: bool = False

    def send(self, stream_id: int, event: StreamEvent) -> None:
        assert stream_id == int(self.opened.session_id)
        assert not self.is_over, f"{event} after the end"
        assert event.epoch == self.opened.epoch
        self.heard.append(event)

    def ended(self, stream_id: int) -> None:
        assert not self.is_over, "two ends"
        self.is_over = True

    @property
    def is_open(self) -> bool:
        return self.hosted is not None and not self.is_over

    def alone(self) -> list[StreamEvent]:
        """What a recogniser that has nobody else says to the same audio and the same cuts."""
        recogniser = recogniser_of(self.opened.options.model)
        recogniser.open(0, self.opened)
        events: list[StreamEvent] = []
        at_sample = self.opened.start_sample
        for number, samples in enumerate(self.said):
            if samples is None:
                recogniser.cut(0, at_sample, is_last=self.is_finishing and number == len(self.said) - 1)
            else:
                at_sample += samples
                recogniser.accept(0, self.value * samples)
        while recogniser.is_ready(0):
            events += recogniser.step([0])[0].events
        return events

    def check(self) -> None:
        """Everything it heard is its own, in order, and all of it is there unless something ended it before."""
        first, *rest = self.heard
        assert isinstance(first, Granted)
        own = [event for event in rest if not isinstance(event, Progress | Lost)]
        alone = self.alone()
        assert own == alone[: len(own)], f"{self.opened} heard {own} and not {alone}"
        is_lost = isinstance(self.heard[-1], Lost)
        assert sum(isinstance(event, Lost) for event in rest) == is_lost
        if self.is_finishing and not self.is_cancelled and not is_lost:
            assert len(own) == len(alone)


class World:
    """A host and everybody who talks to it."""

    def __init__(self) -> None:
        self.recognisers = {model: recogniser_of(model) for model in MODELS}
        self.deaths: list[BaseException] = []
        self.host = StreamHost(HostSettings(pool="p", busy_permille=0), on_death=self.deaths.append)
        for recogniser in self.recognisers.values():
            self.host.shelf.add(LoadedModel(recogniser, recogniser.rehearse(max_batch=SLOTS), "nowhere"))
        self.talkers: list[Talker] = []
        self.opened = 0
        self.refused = 0
        self.lost = 0
        self.cancelled = 0
        self.finished = 0

    @property
    def open_talkers(self) -> list[Talker]:
        return [talker for talker in self.talkers if talker.is_open]

    def open(self, dice: random.Random) -> None:
        self.opened += 1
        stream_id = self.opened
        opened = OpenStream(
            session_id=str(stream_id),
            tenant=f"tenant {stream_id % 3}",
            epoch=1 + stream_id % 5,
            start_sample=dice.randrange(3) * 1_000 + stream_id % 7,
            options=StreamOptions(model=dice.choice(list(MODELS)), wants_partials=bool(dice.getrandbits(1))),
        )
        value = (stream_id % 65_536).to_bytes(2, "little")
        talker = Talker(opened, value, through_sample=opened.start_sample)
        talker.hosted = self.host.open(talker, stream_id, opened)
        if talker.hosted is not None:
            self.talkers.append(talker)
            return
        self.refused += 1
        assert [type(event) for event in talker.heard] == [Refused]
        model = opened.options.model
        assert sum(other.opened.options.model == model for other in self.open_talkers) == SLOTS

    def audio(self, talker: Talker, dice: random.Random) -> None:
        samples = dice.choice((1, 160, BLOCK_SAMPLES // 2, BLOCK_SAMPLES, BLOCK_SAMPLES + 1))
        hosted = talker.hosted
        assert hosted is not None
        if talker.is_finishing or talker.through_sample - hosted.consumed_through_sample > WINDOW_SAMPLES - samples:
            return
        talker.said.append(samples)
        talker.through_sample += samples
        self.host.audio(hosted, talker.value * samples)

    def cut(self, talker: Talker, *, is_last: bool) -> None:
        if talker.is_finishing or talker.hosted is None:
            return
        talker.is_finishing = is_last
        talker.said.append(None)
        self.finished += is_last
        self.host.cut(talker.hosted, talker.through_sample, is_last=is_last)

    def cancel(self, talker: Talker) -> None:
        """Nothing may come any more."""
        if talker.hosted is not None:
            self.cancelled += 1
            self.host.cancel(talker.hosted)
            talker.is_over = talker.is_cancelled = True

    def lose(self, talker: Talker) -> None:
        """As a time-out, or a link's misuse, ends a stream."""
        if talker.hosted is not None:
            self.lost += 1
            self.host.lose(talker.hosted, LossReason.silent)
            assert talker.is_over

    def move(self, dice: random.Random) -> None:
        talkers = self.open_talkers
        if not talkers or dice.random() < 0.2:
            self.open(dice)
            return
        talker = dice.choice(talkers)
        match dice.choices(("audio", "cut", "finish", "cancel", "lose", "fail"), (60, 8, 12, 10, 5, 1))[0]:
            case "audio":
                self.audio(talker, dice)
            case "cut":
                self.cut(talker, is_last=False)
            case "finish":
                self.cut(talker, is_last=True)
            case "cancel":
                self.cancel(talker)
            case "lose":
                self.lose(talker)
            case _:
                self.recognisers[talker.opened.options.model].fails_next = True

    async def interleave(self, dice: random.Random) -> None:
        """One interleaving; at its end some streams go away, some finish, and some stay for the next one."""
        for _ in range(dice.randint(3, MOST_MOVES)):
            self.move(dice)
            if dice.random() < 0.5:
                self.host.wake()
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        for talker in self.open_talkers:
            if dice.random() < 0.6:
                self.cut(talker, is_last=True)
        self.host.wake()
        if dice.random() < 0.5:
            await self.until(lambda: not any(talker.is_finishing for talker in self.open_talkers))
        self.check_those_over()

    def check_those_over(self) -> None:
        assert not self.deaths
        assert self.host.open_streams == len(self.open_talkers)
        for talker in self.talkers:
            if not talker.is_open:
                talker.check()
        self.talkers = self.open_talkers

    async def end(self) -> None:
        """Everybody goes; then nobody may be left anywhere."""
        for talker in self.open_talkers:
            self.cut(talker, is_last=True)
        self.host.wake()
        await self.until(lambda: not self.open_talkers)
        self.check_those_over()
        assert self.host.open_streams == 0
        await self.until(lambda: not any(recogniser.held for recogniser in self.recognisers.values()))

    async def until(self, condition: Callable[[], bool]) -> None:
        due_at_s = time.monotonic() + _OVER_S
        while not condition():
            assert time.monotonic() < due_at_s, "it never came to an end"
            await asyncio.sleep(0)


async def _run(interleavings: int, *, seed: int) -> World:
    world = World()
    world.host.start()
    try:
        for number in range(interleavings):
            await world.interleave(random.Random(f"{seed}/{number}"))
        await world.end()
    finally:
        assert world.host.stop(timeout_ms=5_000)
    return world


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_no_interleaving_lets_a_stream_hear_another_one_or_keeps_a_slot(
    is_long: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    began_at_s = time.monotonic()
    interleavings = LONG if is_long else SHORT
    world = await _run(interleavings, seed=1)
    with capsys.disabled():
        print(
            f"\n{interleavings} interleavings in {time.monotonic() - began_at_s:.0f} s: {world.opened} streams, "
            f"{world.refused} refused, {world.finished} finished, {world.cancelled} cancelled, {world.lost} lost; "
            "no foreign event, no leaked slot"
        )
    for moves in (world.refused, world.finished, world.cancelled, world.lost):
        assert moves > interleavings // 100


@pytest.mark.unit
def test_the_oracle_notices_a_foreign_word() -> None:
    opened = OpenStream(session_id="7", tenant="t", epoch=1, start_sample=0, options=StreamOptions(model="first"))
    talker = Talker(opened, b"\x07\x00", said=[BLOCK_SAMPLES, BLOCK_SAMPLES])
    talker.heard = [Granted(1, "first", "v", WINDOW_SAMPLES), *talker.alone()]
    talker.check()
    last = talker.heard[-1]
    talker.heard[-1] = msgspec.structs.replace(last, text="w0v8 w8000v7")
    with pytest.raises(AssertionError, match="w0v8"):
        talker.check()
