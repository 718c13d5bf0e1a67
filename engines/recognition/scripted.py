"""A recogniser without a model: one word for each half second of audio, which says where it lay and what was in it.

It stands in for the model wherever recognition is not the subject: gateway tests and benchmarks with thousands of
sessions. A word is `w<start_sample>v<value>`: the block's first sample on the session's audio clock, and the int16
found there. So a lost, doubled or foreign block shows in the text, and a replay from the end of any final gives the
same words.

Blocks are counted from the stream's start, and anew from each cut; an utterance ends after `utterance_blocks` of them.
A cut ends the block it lies in, which gives a word for the part that there is.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from engines.contract import MemoryFigures, StepResult, StepTime
from engines.errors import BackendFailed
from engines.interface import (
    BYTES_PER_SAMPLE,
    SAMPLES_PER_MS,
    EndReason,
    FinalResult,
    PartialResult,
    SpeechStarted,
    Word,
)
from engines.recognition.option_checks import endpointing_mistakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.interface import OpenStream, StreamOptions

BLOCK_SAMPLES = 500 * SAMPLES_PER_MS
_WORD_COST_US = 20
"""Of one word in a large batch, on the machine of docs/benchmarks.md."""


class Script(BaseModel, frozen=True, extra="forbid"):
    """How the scripted engine behaves. Words are counted over all streams of the process; 0 means never."""

    model: str = "scripted"
    language: str = "en"
    utterance_blocks: int = Field(default=4, ge=1, le=120)
    window_ms: int = Field(default=5_000, ge=1_000, le=60_000)
    step_delay_ms: int = Field(default=0, ge=0, le=60_000)
    """Each step takes this long."""
    silent_after_words: int = Field(default=0, ge=0)
    """Then the engine takes audio, keeps its heartbeat, and answers nothing."""
    hang_after_words: int = Field(default=0, ge=0)
    """Then a step never returns."""
    fail_after_words: int = Field(default=0, ge=0)
    """Then one step raises BackendFailed, and the next ones work."""
    die_after_words: int = Field(default=0, ge=0)
    """Then the process kills itself."""
    heard_file: str = ""
    """Whose audio it took, and when, is added to this file: a line of JSON for each piece."""


@dataclass(slots=True)
class _Block:
    """One word to be: complete when `end_sample` is known and all its audio is in."""

    start_sample: int
    end_sample: int
    value: int


@dataclass(slots=True)
class _Cut:
    at_sample: int
    is_last: bool


@dataclass(slots=True)
class _Stream:
    session_id: str
    wants_partials: bool
    epoch: int
    utterance_start_sample: int
    accepted_through_sample: int
    next_block_sample: int
    pending: deque[_Block | _Cut] = field(default_factory=deque)
    words: list[Word] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        if not self.pending:
            return False
        first = self.pending[0]
        return isinstance(first, _Cut) or first.end_sample <= self.accepted_through_sample


class ScriptedRecogniser:
    """A BatchRecogniser. One step takes one block, or one cut, of each stream."""

    def __init__(self, script: Script, *, max_slots: int) -> None:
        self.model = script.model
        self.model_version = f"scripted-{script.utterance_blocks}"
        self.language = script.language
        self.max_slots = max_slots
        self.step_samples = BLOCK_SAMPLES
        self.window_samples = script.window_ms * SAMPLES_PER_MS
        self.memory = MemoryFigures(device="cpu", weights_bytes=0, state_bytes_per_slot=0, state_bytes_total=0)
        self._script = script
        self._streams: list[_Stream | None] = [None] * max_slots
        self._words_given = 0
        self._has_failed = False

    def rehearse(self, *, max_batch: int) -> tuple[StepTime, ...]:
        """What the script says, and a word's own cost: trying it would count as words."""
        delay_us = self._script.step_delay_ms * 1_000
        return tuple(StepTime(batch, delay_us + batch * _WORD_COST_US) for batch in sorted({1, max_batch}))

    def shut_down(self) -> None:
        """Nothing is held."""

    def mistakes(self, options: StreamOptions) -> list[str]:
        """See `BatchRecogniser.mistakes`. Keywords change nothing here, and are not wrong either."""
        return endpointing_mistakes(options)

    def open(self, slot: int, stream: OpenStream) -> None:
        start = stream.start_sample
        self._streams[slot] = _Stream(
            stream.session_id, stream.options.wants_partials, stream.epoch, start, start, start
        )

    def accept(self, slot: int, pcm16: bytes) -> None:
        stream = self._stream(slot)
        begin = stream.accepted_through_sample
        end = begin + len(pcm16) // BYTES_PER_SAMPLE
        if self._script.heard_file:
            self._write_down(stream.session_id, begin, end)
        while stream.next_block_sample < end:
            start = stream.next_block_sample
            at_byte = (start - begin) * BYTES_PER_SAMPLE
            value = int.from_bytes(pcm16[at_byte : at_byte + BYTES_PER_SAMPLE], "little", signed=True)
            stream.pending.append(_Block(start, start + BLOCK_SAMPLES, value))
            stream.next_block_sample = start + BLOCK_SAMPLES
        stream.accepted_through_sample = end

    def cut(self, slot: int, at_sample: int, *, is_last: bool) -> None:
        stream = self._stream(slot)
        if stream.pending and isinstance(last := stream.pending[-1], _Block):
            last.end_sample = min(last.end_sample, at_sample)
        stream.pending.append(_Cut(at_sample, is_last))
        stream.next_block_sample = at_sample

    def close(self, slot: int) -> None:
        self._streams[slot] = None

    def is_ready(self, slot: int) -> bool:
        stream = self._streams[slot]
        return stream is not None and stream.is_ready and not self._is_past(self._script.silent_after_words)

    def step(self, slots: Sequence[int]) -> list[StepResult]:
        script = self._script
        if script.step_delay_ms:
            time.sleep(script.step_delay_ms / 1_000)
        if self._is_past(script.hang_after_words):
            threading.Event().wait()
        if self._is_past(script.die_after_words):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._is_past(script.fail_after_words) and not self._has_failed:
            self._has_failed = True
            raise BackendFailed("the script says so")
        return [self._step(slot, self._stream(slot)) for slot in slots]

    def _write_down(self, session_id: str, begin: int, end: int) -> None:
        """`at_s` is monotonic: of one machine's processes, all count from the same moment."""
        line = json.dumps({"at_s": time.monotonic(), "session": session_id, "from_sample": begin, "to_sample": end})
        with Path(self._script.heard_file).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _is_past(self, words: int) -> bool:
        return 0 < words <= self._words_given

    def _stream(self, slot: int) -> _Stream:
        stream = self._streams[slot]
        if stream is None:
            raise ValueError(f"slot {slot} is free")
        return stream

    def _step(self, slot: int, stream: _Stream) -> StepResult:
        item = stream.pending.popleft()
        if isinstance(item, _Cut):
            reason = EndReason.finish if item.is_last else EndReason.finalize
            final = _end_utterance(stream, item.at_sample, reason)
            return StepResult(slot, (final,), item.at_sample, item.is_last)
        events: list[SpeechStarted | PartialResult | FinalResult] = []
        if not stream.words:
            events.append(SpeechStarted(stream.epoch, item.start_sample))
        stream.words.append(Word(f"w{item.start_sample}v{item.value}", item.start_sample, item.end_sample, 1.0))
        self._words_given += 1
        if stream.wants_partials:
            text = _text(stream)
            start = stream.utterance_start_sample
            events.append(PartialResult(stream.epoch, start, item.end_sample, text, stable_chars=len(text)))
        # A block that a cut made shorter is ended by that cut.
        is_whole = item.end_sample - item.start_sample == BLOCK_SAMPLES
        if is_whole and len(stream.words) >= self._script.utterance_blocks:
            events.append(_end_utterance(stream, item.end_sample, EndReason.pause_after_speech))
        return StepResult(slot, tuple(events), item.end_sample, is_over=False)


def _end_utterance(stream: _Stream, at_sample: int, reason: EndReason) -> FinalResult:
    start = stream.utterance_start_sample
    final = FinalResult(stream.epoch, start, at_sample, _text(stream), tuple(stream.words), reason)
    stream.words.clear()
    stream.utterance_start_sample = at_sample
    return final


def _text(stream: _Stream) -> str:
    return " ".join(word.text for word in stream.words)
