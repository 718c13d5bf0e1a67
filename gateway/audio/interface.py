"""What the gateway asks of a decoder: any client encoding in, 16 kHz mono 16-bit samples out, in order.

All of it happens on the event loop; no decoder has a thread. A decoder calls back at most one error, and nothing after
it. Nothing is called back after `close`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import SessionRefused

    OnPcm = Callable[[bytes], None]
    OnError = Callable[[SessionRefused], None]
    OnReached = Callable[[], None]

PCM_RATE_HZ = 16_000
MAX_PCM_BYTES = 32_000
"""One second: the most that `on_pcm` gets in one call. Always whole samples, never empty."""


class GapExtent(NamedTuple):
    """Where a gap lies in what a decoder gives: behind so many samples that it holds back, and so many long. At 16 kHz,
    and exact: gaps add up to what was announced of them, however many there are.
    """

    held_back_samples: int
    num_samples: int


class AudioDecoder(Protocol):
    """Turns one session's audio messages into 16 kHz mono PCM16 little-endian.

    An inline decoder (raw encodings, Opus packets) has called back before `feed`, `mark` or `finish` returns, and is
    never paused by its own doing: stop feeding it. One message of n bytes gives at most 4 n + 8,000 bytes of PCM.

    The others (streams that describe themselves) call back later, a little in each turn of the loop, except that `feed`
    refuses at once what is beyond `max_pending_bytes`. Paused, they keep what they were fed; at most one codec packet
    is decoded and waiting (65,535 samples of a FLAC frame).
    """

    is_inline: bool

    @property
    def pending_bytes(self) -> int:
        """Fed and not looked at yet; the transport stops reading while it is large. Always 0 for inline decoders."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Ignored after an error, `finish` or `close`."""

    def extent_of_gap(self, samples: int) -> GapExtent:
        """Of a gap that begins here, of so many samples of a channel at the announced rate. It is not fed by this.

        Raises:
            ClientFault: `unexpected_message`; nobody knows where in the stream it would be.
        """

    def feed_silence(self, samples: int) -> None:
        """As `feed`, of so many silent samples at the announced rate: no more than a second of them. Of decoders that
        give an extent.
        """

    def mark(self, on_reached: OnReached) -> None:
        """Call back once all that was fed before is decoded as far as it can be.

        What is held back until more comes (by the resampler: see gateway.audio.resample; and an incomplete codec
        packet) comes with later audio or with `finish`.
        """

    def finish(self, on_finished: OnReached) -> None:
        """No more bytes come: give what is held back, then call back. A stream may end anywhere."""

    def pause(self) -> None:
        """`on_pcm` may not be called until `resume`. May be called from `on_pcm`."""

    def resume(self) -> None:
        """Go on. Calls back from a later turn of the loop, not from inside this call."""

    def close(self) -> None:
        """Forget everything. May be called twice, and from any callback."""
