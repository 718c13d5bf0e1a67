"""What a link needs of whatever keeps its streams: an engine's slots, or a relay's engines behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from engines.interface import LoadReport, LossReason, OpenStream, StreamEvent


class EventSink(Protocol):
    """A link: where the events of its streams go."""

    def send(self, stream_id: int, event: StreamEvent) -> None:
        """Queue an event. Never waits, never raises."""

    def ended(self, stream_id: int) -> None:
        """The stream gave its last event."""


class KeptStream(Protocol):
    """One stream, known to its link by a number."""

    @property
    def stream_id(self) -> int: ...


Stream = TypeVar("Stream", bound=KeptStream)


class LinkHost(Protocol[Stream]):
    """Keeps streams for links. Nothing here waits."""

    @property
    def slot_changes(self) -> int:
        """Another number: a load report made before is out of date."""

    @property
    def is_stalled(self) -> bool:
        """Nothing can be promised now: no load report goes out."""

    def open(self, sink: EventSink, stream_id: int, opened: OpenStream) -> Stream | None:
        """The stream; None when it was refused at once. Its answers go to the sink."""

    def audio(self, stream: Stream, pcm16: bytes) -> None:
        """Raises LinkMisused."""

    def cut(self, stream: Stream, at_sample: int, *, is_last: bool) -> None:
        """Raises LinkMisused."""

    def cancel(self, stream: Stream) -> None:
        """Forget the stream; nothing more goes to its sink."""

    def lose(self, stream: Stream, reason: LossReason) -> None:
        """As `cancel`, and the sink is told why."""

    def wake(self) -> None:
        """The commands of one message are all in."""

    def load(self) -> LoadReport:
        """What can be opened now."""
