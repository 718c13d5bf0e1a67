"""One stream in its slot: its audio, its cuts, and the utterance it is in.

These must stay true:
  - Which steps run, and what they read, follows from the audio, the options and the cuts; never from when they came.
  - Audio behind a cut is not heard before the utterance that the cut ends is over.
  - No more audio is kept than the next utterance may want to hear again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from engines.errors import LinkMisused
from engines.interface import BYTES_PER_SAMPLE, EndReason, FinalResult, PartialResult, SpeechStarted
from engines.recognition.audio import AudioQueue
from engines.recognition.gate import HEARD_ENERGY, window_energies
from engines.recognition.utterance import StreamRules, Utterance
from engines.recognition.voice_activity import WINDOW_SAMPLES

if TYPE_CHECKING:
    from engines.contract import FloatArray
    from engines.interface import OpenStream
    from engines.recognition.rows import Rows
    from engines.recognition.utterance import Listening, ModelShape

SlotEvent = SpeechStarted | PartialResult | FinalResult


class Cut(NamedTuple):
    at_sample: int
    is_last: bool


class Heard(NamedTuple):
    """Audio for voice activity, (at least 1, 512); `is_anew`: it does not follow what was heard before."""

    windows: FloatArray
    is_anew: bool


class StreamState:
    """A step is `next_features`, `read` and `take` in this order; everything else may be called between two steps."""

    def __init__(self, stream: OpenStream, shape: ModelShape) -> None:
        self._shape = shape
        self._rules = StreamRules.of(stream, shape)
        self._audio = AudioQueue(stream.start_sample)
        self._cuts: deque[Cut] = deque()
        self._utterance = Utterance(stream.start_sample, shape, self._rules)
        self._is_ended = False
        self._is_regular = False
        self._listening: Listening | None = None
        self._energies: list[float] = []
        self.audio_through_sample = stream.start_sample
        self.is_over = False
        """Whether the last final has been given."""

    def accept(self, pcm16: bytes) -> None:
        """Append audio.

        Raises:
            LinkMisused: half a sample, or audio behind the end of the stream.
        """
        if len(pcm16) % BYTES_PER_SAMPLE:
            raise LinkMisused(f"audio must hold whole samples, not {len(pcm16)} bytes")
        if self._is_ended:
            raise LinkMisused("audio came behind the cut that ends the stream")
        self._audio.append(pcm16)

    def cut(self, cut: Cut) -> None:
        """Note a cut.

        Raises:
            LinkMisused: it is not where the audio ends, or the stream has ended before.
        """
        if self._is_ended:
            raise LinkMisused("a cut came behind the cut that ends the stream")
        if cut.at_sample != self._audio.end_sample:
            raise LinkMisused(f"a cut must be where the audio ends, {self._audio.end_sample}, not {cut.at_sample}")
        self._cuts.append(cut)
        self._is_ended = cut.is_last

    @property
    def is_ready(self) -> bool:
        return not self.is_over and (bool(self._cuts) or self._has_regular_step)

    @property
    def held_samples(self) -> int:
        """How much audio is kept: what was not yet heard, and at most 5 s and a step of what was."""
        return self._audio.end_sample - self._audio.start_sample

    @property
    def _heard_limit_sample(self) -> int:
        """Where the audio of this utterance ends at the latest, as far as is known."""
        return self._cuts[0].at_sample if self._cuts else self._audio.end_sample

    @property
    def _has_regular_step(self) -> bool:
        return self._utterance.start_sample + self._utterance.step_end_sample <= self._heard_limit_sample

    @property
    def _has_tail_step(self) -> bool:
        return self._utterance.has_tail_step(utterance_samples=self._heard_limit_sample - self._utterance.start_sample)

    def next_features(self) -> FloatArray | None:
        """Read the audio of the model's next step; None where it has none to take. The stream must be ready."""
        utterance = self._utterance
        self._is_regular = self._has_regular_step
        if utterance.is_waiting or not (self._is_regular or self._has_tail_step):
            return None
        return utterance.next_window(self._read(utterance.read_until_sample, utterance.step_end_sample))

    def _read(self, from_sample: int, until_sample: int) -> FloatArray:
        """Read a part of the utterance, silence behind its end."""
        start = self._utterance.start_sample
        return self._audio.read(
            start + from_sample, start + until_sample, silent_from_sample=max(start, self._heard_limit_sample)
        )

    def read(self, rows: Rows | None) -> Heard | None:
        """Take the model's rows for the last `next_features`; give what voice activity must hear, if anything.

        Behind a cut there is nothing to hear.
        """
        utterance = self._utterance
        if utterance.is_waiting:
            return self._wait()
        if rows is not None:
            utterance.read(rows.log_probabilities, rows.best_tokens)
        self._listening = utterance.listening if self._is_regular else None
        return None if self._listening is None else self._heard(self._listening)

    def _wait(self) -> Heard | None:
        """Step without the model. A cut is waited for to its last sample, so that nothing before it is lost."""
        utterance = self._utterance
        if self._is_regular:
            utterance.wait()
            until_window = utterance.read_until_sample // WINDOW_SAMPLES
        else:
            until_window = -(-(self._heard_limit_sample - utterance.start_sample) // WINDOW_SAMPLES)
        listening = utterance.waiting(until_window=until_window)
        if listening is None:
            self._listening = None
            return None
        heard = self._heard(listening)
        self._energies = window_energies(heard.windows)
        if max(self._energies) < HEARD_ENERGY:
            utterance.miss_silence(listening)
            self._listening = None
            return None
        self._listening = listening
        return heard

    def _heard(self, listening: Listening) -> Heard:
        windows = listening.windows
        samples = self._read(windows.start * WINDOW_SAMPLES, windows.stop * WINDOW_SAMPLES)
        return Heard(samples.reshape(len(windows), WINDOW_SAMPLES), listening.is_anew)

    def take(self, speech: list[float]) -> tuple[SlotEvent, ...]:
        """End the step with the probability of speech in each window that `read` gave.

        A final among the events ends the utterance: whoever holds state for this slot must forget it.
        """
        utterance = self._utterance
        if not utterance.is_waiting:
            if self._listening is not None:
                utterance.hear(self._listening, speech)
            return self._after_regular_step() if self._is_regular else self._after_tail_step()
        heard_until = utterance.start_sample + utterance.read_until_sample
        if self._listening is None or not utterance.hear_waiting(self._listening, speech, self._energies):
            return self._after_regular_step() if self._is_regular else self._after_tail_step()
        # The model has not heard any of it yet: it takes its first steps next, over audio that is there.
        if self._is_regular:
            self.audio_through_sample = max(self.audio_through_sample, heard_until)
        self._audio.drop_before(utterance.start_sample + utterance.earliest_needed_sample)
        return ()

    def _after_regular_step(self) -> tuple[SlotEvent, ...]:
        utterance = self._utterance
        heard_until = utterance.start_sample + utterance.read_until_sample
        self.audio_through_sample = max(self.audio_through_sample, heard_until)
        started = utterance.speech_started(end_sample=heard_until)
        ending = utterance.ending(self._read)
        if ending is not None:
            result: SlotEvent | None = self._end_utterance(utterance.start_sample + ending.at_sample, ending.reason)
        else:
            self._audio.drop_before(utterance.start_sample + utterance.earliest_needed_sample)
            result = utterance.partial(end_sample=heard_until)
        return tuple(event for event in (started, result) if event is not None)

    def _after_tail_step(self) -> tuple[SlotEvent, ...]:
        cut = self._cuts[0]
        started = self._utterance.speech_started(end_sample=cut.at_sample)
        if self._has_tail_step:
            result: SlotEvent | None = self._utterance.partial(end_sample=cut.at_sample)
        else:
            self._cuts.popleft()
            self.audio_through_sample = cut.at_sample
            result = self._end_utterance(cut.at_sample, EndReason.finish if cut.is_last else EndReason.finalize)
            self.is_over = cut.is_last
        return tuple(event for event in (started, result) if event is not None)

    def _end_utterance(self, at_sample: int, reason: EndReason) -> FinalResult:
        final = self._utterance.final(end_sample=at_sample, reason=reason)
        self._audio.drop_before(at_sample)
        self._utterance = Utterance(at_sample, self._shape, self._rules)
        return final
