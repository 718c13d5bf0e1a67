"""An engine pool whose engines say what a test wants them to say, for tests of the gateway alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engines.interface import (
    BYTES_PER_SAMPLE,
    EndReason,
    FinalResult,
    Granted,
    LoadReport,
    LossReason,
    Lost,
    Progress,
    RefusalReason,
    Refused,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.interface import OpenStream, StreamEvent

WINDOW_SAMPLES = 80_000


class FakeStream:
    """Remembers what it was sent."""

    def __init__(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> None:
        self.opened = stream
        self.audio = bytearray()
        self.cuts: list[tuple[int, bool]] = []
        self.is_cancelled = False
        self._on_event = on_event

    @property
    def end_sample(self) -> int:
        return self.opened.start_sample + len(self.audio) // BYTES_PER_SAMPLE

    def send_audio(self, pcm16: bytes) -> None:
        self.audio += pcm16

    def finalize(self, at_sample: int) -> None:
        self.cuts.append((at_sample, False))

    def finish(self, at_sample: int) -> None:
        self.cuts.append((at_sample, True))

    def cancel(self, reason: LossReason | None = None) -> None:
        self.is_cancelled = True

    def say(self, event: StreamEvent) -> None:
        if not self.is_cancelled:
            self._on_event(event)


class FakePool:
    """Opens streams; by itself it grants each, and answers every cut with a final of one word, `said`.

    A pool with `is_obliging=False` says nothing: the test does.
    """

    def __init__(self, *, is_obliging: bool = True, said: str = "word") -> None:
        self.streams: list[FakeStream] = []
        self._is_obliging = is_obliging
        self._said = said
        self._sessions: dict[int, int] = {}

    def open(self, stream: OpenStream, on_event: Callable[[StreamEvent], None]) -> FakeStream:
        opened = _ObligingStream(stream, on_event, self._said) if self._is_obliging else FakeStream(stream, on_event)
        self.streams.append(opened)
        if self._is_obliging:
            wished = stream.options
            grant = Granted(stream.epoch, wished.model or "fake", wished.model_version or "v1", WINDOW_SAMPLES)
            asyncio.get_running_loop().call_soon(opened.say, grant)
        return opened

    def loads(self) -> Sequence[LoadReport]:
        return []

    @property
    def last(self) -> FakeStream:
        return self.streams[-1]


class _ObligingStream(FakeStream):
    def __init__(self, stream: OpenStream, on_event: Callable[[StreamEvent], None], said: str) -> None:
        super().__init__(stream, on_event)
        self._utterance_start = stream.start_sample
        self._said = said

    def send_audio(self, pcm16: bytes) -> None:
        super().send_audio(pcm16)
        asyncio.get_running_loop().call_soon(self.say, Progress(self.opened.epoch, self.end_sample, len(pcm16) // 320))

    def finalize(self, at_sample: int) -> None:
        super().finalize(at_sample)
        self._answer(at_sample, EndReason.finalize)

    def finish(self, at_sample: int) -> None:
        super().finish(at_sample)
        self._answer(at_sample, EndReason.finish)

    def _answer(self, at_sample: int, reason: EndReason) -> None:
        start, self._utterance_start = self._utterance_start, at_sample
        words = (Word(self._said, start, at_sample, 1.0),)
        final = FinalResult(self.opened.epoch, start, at_sample, self._said, words, reason)
        asyncio.get_running_loop().call_soon(self.say, final)


__all__ = ["FakePool", "FakeStream", "LossReason", "Lost", "RefusalReason", "Refused"]
