"""Promises of one stream over a link, with a carrier that only notes what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.interface import (
    EndReason,
    FinalResult,
    Granted,
    LossReason,
    Lost,
    MoveAway,
    MoveReason,
    OpenStream,
    Progress,
    RefusalReason,
    Refused,
    StreamEvent,
    StreamOptions,
)
from engines.proto import engine_pb2
from regions.links.link_stream import MAX_AUDIO_BYTES, LinkStream
from regions.links.outcomes import StreamCancelled, StreamFinished, StreamLost, StreamOutcome, StreamRefused

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unit


class Carrier:
    def __init__(self) -> None:
        self.sent = b""
        self.forgotten: list[int] = []
        self.outcomes: list[StreamOutcome | str] = []

    def queue(self, command: bytes) -> None:
        self.sent += command

    def queue_audio(self, head: bytes, pcm16: bytes) -> None:
        self.sent += head + pcm16

    def note_granted(self, stream: LinkStream) -> None:
        self.outcomes.append("granted")

    def forget(self, stream: LinkStream, outcome: StreamOutcome) -> None:
        self.forgotten.append(stream.stream_id)
        self.outcomes.append(outcome)

    @property
    def commands(self) -> list[str | None]:
        message = engine_pb2.ToEngine.FromString(self.sent)
        return [command.WhichOneof("command") for command in message.commands]


def granted() -> tuple[LinkStream, Carrier, list[StreamEvent]]:
    carrier, heard = Carrier(), list[StreamEvent]()
    asked = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    stream = LinkStream(carrier, 9, asked, heard.append)
    stream.receive(Granted(1, "m", "v", 100))
    return stream, carrier, heard


def test_an_engine_that_breaks_the_order_loses_the_stream_and_is_told_to_forget_it() -> None:
    stream, carrier, heard = granted()
    stream.receive(Progress(1, 1, 0))
    stream.receive(Progress(1, 0, 0))
    assert heard[1:] == [Lost(1, LossReason.protocol_broken)]
    assert carrier.commands == ["cancel"]
    assert carrier.forgotten == [9]


def test_nothing_is_heard_and_nothing_sent_after_the_end() -> None:
    for end in (LinkStream.cancel, LinkStream.break_off, lambda stream: stream.lose(LossReason.link_lost)):
        stream, carrier, heard = granted()
        end(stream)
        heard_by_then, sent_by_then = list(heard), carrier.sent
        stream.send_audio(b"ab")
        stream.finalize(1)
        stream.finish(1)
        stream.cancel()
        stream.receive(Progress(1, 0, 0))
        stream.lose(LossReason.link_lost)
        stream.break_off()
        assert (heard, carrier.sent, carrier.forgotten) == (heard_by_then, sent_by_then, [9])


def test_the_last_final_ends_the_stream_without_a_cancel() -> None:
    stream, carrier, heard = granted()
    stream.send_audio(b"abcd")
    stream.finish(2)
    stream.receive(FinalResult(1, 0, 2, "", (), EndReason.finish))
    assert isinstance(heard[-1], FinalResult)
    assert stream.is_over
    assert carrier.commands == ["audio", "finish"]


def test_a_session_may_cancel_from_inside_its_callback() -> None:
    carrier = Carrier()
    asked = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    stream = LinkStream(carrier, 9, asked, lambda _: stream.cancel())
    stream.receive(Granted(1, "m", "v", 100))
    assert carrier.commands == ["cancel"]


def test_long_audio_is_cut_into_commands_of_bounded_size() -> None:
    stream, carrier, _ = granted()
    stream.send_audio(bytes(2 * MAX_AUDIO_BYTES + 2))
    message = engine_pb2.ToEngine.FromString(carrier.sent)
    assert [len(command.audio) for command in message.commands] == [MAX_AUDIO_BYTES, MAX_AUDIO_BYTES, 2]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda stream: stream.cancel(), StreamCancelled(None)),
        (lambda stream: stream.cancel(LossReason.silent), StreamCancelled(LossReason.silent)),
        (lambda stream: stream.break_off(), StreamLost(LossReason.protocol_broken)),
        (lambda stream: stream.lose(LossReason.link_lost), StreamLost(LossReason.link_lost)),
        (lambda stream: stream.receive(Lost(1, LossReason.drained)), StreamLost(LossReason.drained)),
        (lambda stream: stream.receive(FinalResult(1, 0, 0, "", (), EndReason.finish)), StreamFinished()),
    ],
)
def test_a_granted_stream_ends_with_one_outcome(end: Callable[[LinkStream], None], outcome: StreamOutcome) -> None:
    stream, carrier, _ = granted()
    stream.finish(0)
    end(stream)
    stream.cancel(LossReason.silent)
    assert carrier.outcomes == ["granted", outcome]


def test_a_refused_stream_has_one_outcome() -> None:
    carrier = Carrier()
    asked = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    stream = LinkStream(carrier, 9, asked, lambda _: None)
    stream.receive(Refused(1, RefusalReason.draining))
    stream.cancel()
    assert carrier.outcomes == [StreamRefused(RefusalReason.draining)]


def test_a_stream_that_is_told_to_move_works_on() -> None:
    stream, _, heard = granted()
    stream.move_away(MoveReason.region_draining, 9_000)
    stream.send_audio(b"ab")
    stream.receive(Progress(1, 1, 0))
    assert heard[1:] == [MoveAway(1, MoveReason.region_draining, 9_000), Progress(1, 1, 0)]
    stream.cancel()
    stream.move_away(MoveReason.region_draining, 9_000)
    assert len(heard) == 3
