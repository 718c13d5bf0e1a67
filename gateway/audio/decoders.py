"""Opens the decoder for what a client announced. One `AudioDecoders` serves all sessions of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audio.faults import bad_format
from gateway.audio.opus_messages import OpusMessageDecoder
from gateway.audio.raw import open_raw
from gateway.audio.stream_decoder import StreamDecoder
from gateway.audio.turns import Turns
from gateway.errors import Reason, Unavailable

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from gateway.audio.interface import AudioDecoder, OnError, OnPcm
    from gateway.audio.settings import AudioSettings
    from policies.facts import AudioFormat


class AudioDecoders:
    """Counts the decoders of self-describing streams and lets them share the loop."""

    def __init__(self, settings: AudioSettings, loop: AbstractEventLoop) -> None:
        self._settings = settings
        self._turns = Turns(loop, turn_us=settings.decode_turn_us)
        self._open_streams = 0
        if settings.load_libraries_at_start:
            load_libraries()

    @property
    def open_streams(self) -> int:
        """Decoders of self-describing streams that hold a place now."""
        return self._open_streams

    def open(self, audio_format: AudioFormat, *, on_pcm: OnPcm, on_error: OnError) -> AudioDecoder:
        """Make a session's decoder. Close it when the session ends.

        Raises:
            ClientFault: `bad_audio_format`.
            Unavailable: `too_many_sessions`; as many self-describing streams are open as may be.
        """
        mistakes = audio_format.mistakes()
        if mistakes:
            raise bad_format("; ".join(mistakes))
        if audio_format.encoding.is_raw:
            return open_raw(audio_format, on_pcm=on_pcm, on_error=on_error)
        if not audio_format.encoding.is_self_describing:
            return OpusMessageDecoder(audio_format, on_pcm=on_pcm, on_error=on_error)
        if self._open_streams >= self._settings.max_container_decoders:
            raise Unavailable(
                Reason.too_many_sessions,
                f"this gateway decodes as many {audio_format.encoding} and other file streams as it may; "
                "raw PCM and Opus packets are not limited",
            )
        self._open_streams += 1
        return StreamDecoder(
            audio_format,
            turns=self._turns,
            settings=self._settings,
            on_pcm=on_pcm,
            on_error=on_error,
            on_closed=self._stream_closed,
        )

    def _stream_closed(self) -> None:
        self._open_streams -= 1


def load_libraries() -> None:
    """Import what decoders import when they are first needed: 60 ms, 33 MiB."""
    import av
    import numpy
    import soxr

    del av, numpy, soxr
