"""Drops the beginning of a session's audio: what a client sends again only to get to where it goes on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.interface import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    from collections.abc import Callable


class SkippedHead:
    """Stands between a decoder and its session. `on_skipped`: something came and was dropped."""

    __slots__ = ("_left_bytes", "_on_pcm", "_on_skipped")

    def __init__(self, num_samples: int, on_pcm: Callable[[bytes], None], on_skipped: Callable[[], None]) -> None:
        self._left_bytes = num_samples * BYTES_PER_SAMPLE
        self._on_pcm = on_pcm
        self._on_skipped = on_skipped

    @property
    def left_samples(self) -> int:
        """To be dropped yet."""
        return self._left_bytes // BYTES_PER_SAMPLE

    def __call__(self, pcm16: bytes) -> None:
        """Whole samples of 16 kHz mono PCM."""
        if not self._left_bytes:
            self._on_pcm(pcm16)
            return
        dropped = min(self._left_bytes, len(pcm16))
        self._left_bytes -= dropped
        self._on_skipped()
        if dropped < len(pcm16):
            self._on_pcm(pcm16[dropped:])
