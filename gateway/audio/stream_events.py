"""What a stream reader finds: how the audio is coded, and then packets of it.

A reader is a generator over a ByteQueue. It yields STARVING when it needs more bytes, and is sent back whether its last
`Guess` was right (False for all else). It ends when its input does. All readers are pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from gateway.audio.byte_queue import Starving

if TYPE_CHECKING:
    from collections.abc import Generator

    from gateway.audio.samples import SampleType


class Codec(StrEnum):
    """How packets are coded; the names are libav's decoders, except `samples`."""

    opus = "libopus"
    flac = "flac"
    mp3 = "mp3float"
    samples = "samples"


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A stream begins, or begins again: packets after it are decoded afresh."""

    codec: Codec
    sample_rate_hz: int
    channels: int
    sample_type: SampleType | None = None
    """For `samples` alone."""
    extradata: bytes = b""
    skip_samples: int = 0
    """What the encoder put before the first sample, at `sample_rate_hz`."""


class Packet(NamedTuple):
    """What a codec decodes in one go. The last `discard_end_samples` of it are no audio."""

    data: bytes
    discard_end_samples: int = 0


class Guess(NamedTuple):
    """Perhaps one whole packet, no less and no more. If so it is decoded and True is sent back.

    `may_wait`: bytes to come would settle it too, so it need not be tried while there are some.
    """

    data: bytes
    may_wait: bool = False


StreamEvent = Starving | StreamStart | Packet | Guess

if TYPE_CHECKING:
    StreamReader = Generator[StreamEvent, bool, None]
