"""One session's stream over a link: audio and cuts out, events in, checked against their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engines.interface import BYTES_PER_SAMPLE, Granted, LossReason, Lost, MoveAway, Refused
from regions.links.command_codec import AudioFraming, encode_cancel, encode_cut
from regions.links.event_order import EventOrder, ends_stream
from regions.links.outcomes import StreamCancelled, StreamFinished, StreamLost, StreamRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.interface import MoveReason, OpenStream, StreamEvent
    from regions.links.outcomes import StreamOutcome

MAX_AUDIO_BYTES = 262_144
"""Of one command; more is cut in pieces, so that no message outgrows gRPC's limit."""


class Carrier(Protocol):
    """What a stream needs of its link."""

    def queue(self, command: bytes) -> None:
        """Send one command."""

    def queue_audio(self, head: bytes, pcm16: bytes) -> None:
        """Send one audio command in two parts."""

    def note_granted(self, stream: LinkStream) -> None:
        """The engine granted it."""

    def forget(self, stream: LinkStream, outcome: StreamOutcome) -> None:
        """The stream is over: late events for it go nowhere."""


class LinkStream:
    """An EngineStream. Once it is over, by an event or by `cancel`, everything it is told does nothing."""

    __slots__ = (
        "_carrier",
        "_epoch",
        "_framing",
        "_is_finishing",
        "_on_event",
        "_order",
        "_sent_through_sample",
        "is_over",
        "opened_at_s",
        "stream_id",
    )

    def __init__(
        self, carrier: Carrier, stream_id: int, opened: OpenStream, on_event: Callable[[StreamEvent], None]
    ) -> None:
        self.stream_id = stream_id
        self.is_over = False
        self.opened_at_s = 0.0
        """For the link: when it asked."""
        self._carrier = carrier
        self._epoch = opened.epoch
        self._on_event = on_event
        self._framing = AudioFraming(stream_id)
        self._order = EventOrder(epoch=opened.epoch, start_sample=opened.start_sample)
        self._sent_through_sample = opened.start_sample
        self._is_finishing = False

    @property
    def is_answered(self) -> bool:
        """Whether the engine granted or refused."""
        return self._order.is_granted

    def send_audio(self, pcm16: bytes) -> None:
        if self.is_over:
            return
        num_bytes = len(pcm16)
        if num_bytes > MAX_AUDIO_BYTES:
            for at_byte in range(0, num_bytes, MAX_AUDIO_BYTES):
                self.send_audio(pcm16[at_byte : at_byte + MAX_AUDIO_BYTES])
            return
        self._sent_through_sample += num_bytes // BYTES_PER_SAMPLE
        self._carrier.queue_audio(self._framing.head(num_bytes), pcm16)

    def finalize(self, at_sample: int) -> None:
        self._cut(at_sample, is_last=False)

    def finish(self, at_sample: int) -> None:
        self._cut(at_sample, is_last=True)

    def cancel(self, reason: LossReason | None = None) -> None:
        self._give_up(StreamCancelled(reason))

    def receive(self, event: StreamEvent) -> None:
        """Pass an event on, or make it the stream's loss. Called on the event loop, never from the caller's step."""
        if self.is_over:
            return
        if not self._order.admits(
            event, sent_through_sample=self._sent_through_sample, is_finishing=self._is_finishing
        ):
            self.break_off()
            return
        if ends_stream(event):
            self._end(_outcome_of(event))
        elif type(event) is Granted:
            self._carrier.note_granted(self)
        self._on_event(event)

    def break_off(self) -> None:
        """The engine said what it may not say."""
        if self.is_over:
            return
        self._give_up(StreamLost(LossReason.protocol_broken))
        self._on_event(Lost(self._epoch, LossReason.protocol_broken))

    def lose(self, reason: LossReason) -> None:
        """The link speaks for an engine that cannot."""
        if self.is_over:
            return
        self._end(StreamLost(reason))
        self._on_event(Lost(self._epoch, reason))

    def move_away(self, reason: MoveReason, within_ms: int) -> None:
        """The link says that the stream should go on elsewhere."""
        if not self.is_over:
            self._on_event(MoveAway(self._epoch, reason, within_ms))

    def _cut(self, at_sample: int, *, is_last: bool) -> None:
        if self.is_over:
            return
        self._is_finishing |= is_last
        self._carrier.queue(encode_cut(self.stream_id, at_sample, is_last=is_last))

    def _give_up(self, outcome: StreamOutcome) -> None:
        if self.is_over:
            return
        self._end(outcome)
        self._carrier.queue(encode_cancel(self.stream_id))

    def _end(self, outcome: StreamOutcome) -> None:
        self.is_over = True
        self._carrier.forget(self, outcome)


def _outcome_of(last: StreamEvent) -> StreamOutcome:
    match last:
        case Lost():
            return StreamLost(last.reason)
        case Refused():
            return StreamRefused(last.reason)
        case _:
            return StreamFinished()
