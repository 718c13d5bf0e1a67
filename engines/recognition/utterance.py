"""One utterance being recognised: how far it has been read, what was heard in it, and when it ends of itself.

Everything here is counted from the utterance's own start and knows nothing of audio before it, so the same audio gives
the same words wherever and whenever it is replayed. Step k of the model reads the feature frames
[k * shift, k * shift + window), for which the audio before the end of that step is needed and enough.

An utterance may begin with silence. While it waits for something to be heard, it takes the same steps with voice
activity alone; the model begins a little before what was heard, and its frames and rows are counted from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engines.interface import SAMPLES_PER_MS, EndReason, FinalResult, PartialResult, SpeechStarted
from engines.model_warm_up import outputs_per_step
from engines.recognition.ending import cut_between_words, cut_in_silence, first_searched_row
from engines.recognition.features import SHIFT_SAMPLES, FeatureWindows, LogMel, samples_needed
from engines.recognition.gate import SilenceGate
from engines.recognition.paths import CtcPaths
from engines.recognition.voice_activity import WINDOW_SAMPLES, SpeechTracker
from engines.recognition.words import Spelling, joined
from engines.text.presentation import Presenter
from policies.endpointing import EndpointReason, EndpointSettings, UtteranceFacts, endpoint_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engines.contract import FloatArray, ModelContract, TransducerContract
    from engines.interface import OpenStream, Word
    from engines.recognition.paths import NewPath, Paths

TAIL_FRAMES = 60
"""0.6 s of silence are appended where a cut ends an utterance, so that the model says what it is still holding."""


LISTEN_AFTER_SAMPLES = 2_000 * SAMPLES_PER_MS
"""So long after its last piece at the latest is an utterance listened to for speech that gives no pieces."""
LISTEN_BEFORE_SAMPLES = 8 * WINDOW_SAMPLES
"""Listening begins so long before the end of the last piece, as voice activity needs to have heard some of it."""


class ModelShape:
    """What the streams of one model share.

    `decoding` makes the decoders of its kind; `skips_silence`: the model begins only where something is heard.
    """

    def __init__(
        self,
        contract: ModelContract | TransducerContract,
        *,
        decoding: Callable[[Spelling], Paths] = CtcPaths,
        skips_silence: bool = True,
    ) -> None:
        self.skips_silence = skips_silence
        self.language = contract.language
        self.window_frames = contract.window_frames
        self.shift_frames = contract.shift_frames
        self.step_samples = contract.shift_frames * SHIFT_SAMPLES
        self.rows_per_step = outputs_per_step(contract)
        self.spelling = Spelling(contract)
        self.paths = decoding(self.spelling)
        self.log_mel = LogMel(feature_dim=contract.feature_dim, front_end=contract.front_end)

    def step_end_sample(self, step: int) -> int:
        """How much of its utterance step `step`, counted from 0, has to have heard."""
        return samples_needed(self.shift_frames * step + self.window_frames)

    def has_tail_step(self, step: int, *, utterance_samples: int) -> bool:
        """Whether a cut after so much audio still gives this step.

        The silence behind the cut makes frames up to a half past its end, and a step wants one frame more than it
        reads: so does sherpa-onnx, and our text is to be its text.
        """
        frames = (utterance_samples + SHIFT_SAMPLES // 2) // SHIFT_SAMPLES + TAIL_FRAMES
        return self.shift_frames * step + self.window_frames < frames

    def stable_before_row(self, *, max_samples: int) -> int:
        """Say which rows are never cut off when an utterance of at least `max_samples` has become too long."""
        behind_first = max_samples - self.step_end_sample(0)
        last_step = max(0, -(-behind_first // self.step_samples))
        return first_searched_row((last_step + 1) * self.rows_per_step, row_samples=self.spelling.row_samples)


class Listening(NamedTuple):
    """Which windows voice activity is to hear; `is_anew`: it has not heard the one before them and must forget all."""

    windows: range
    is_anew: bool


class Ending(NamedTuple):
    """The utterance ends `at_sample` samples after its start; later audio begins the next one."""

    at_sample: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class StreamRules:
    """What one stream's options come to."""

    epoch: int
    wants_partials: bool
    endpointing: EndpointSettings
    listen_after_samples: int
    """Silence may end an utterance only so long after its last piece, or later."""
    max_samples: int
    new_path: NewPath
    presenter: Presenter | None
    """Writes words as the stream wants them; None where that is as the model spells them."""

    @classmethod
    def of(cls, stream: OpenStream, shape: ModelShape) -> StreamRules:
        options = stream.options
        presenter = Presenter(options.text, options.language or shape.language)
        return cls(
            stream.epoch,
            options.wants_partials,
            EndpointSettings(
                options.min_trailing_silence_ms, options.max_utterance_ms, options.max_silence_without_speech_ms
            ),
            min(options.min_trailing_silence_ms * SAMPLES_PER_MS, LISTEN_AFTER_SAMPLES),
            options.max_utterance_ms * SAMPLES_PER_MS,
            shape.paths.for_stream(options),
            None if presenter.is_plain else presenter,
        )


class Utterance:
    """Begins at `start_sample` on the session's clock."""

    def __init__(self, start_sample: int, shape: ModelShape, rules: StreamRules) -> None:
        self.start_sample = start_sample
        self.model_start_sample = 0
        """Where the model begins; known once nothing is waited for."""
        self._shape = shape
        self._rules = rules
        self._row_samples = shape.spelling.row_samples
        self._windows = FeatureWindows(
            shape.log_mel, window_frames=shape.window_frames, shift_frames=shape.shift_frames
        )
        self._path = rules.new_path()
        self._speech = SpeechTracker()
        self._gate = SilenceGate(step_samples=shape.step_samples) if shape.skips_silence else None
        self._go_to_step(0)
        self._has_missed_silence = False
        self._passed_windows = 0
        """So many need not be listened to: pieces behind them say that somebody spoke."""
        self._has_speech_started = False
        self._stable_before_row = shape.stable_before_row(max_samples=rules.max_samples)
        self._last_partial: tuple[str, int] = ("", 0)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing was heard yet for which the model must run."""
        return self._gate is not None

    def has_tail_step(self, *, utterance_samples: int) -> bool:
        """Whether the model has another step to take when a cut has ended the utterance after so much audio."""
        model_samples = utterance_samples - self.model_start_sample
        return (
            not self.is_waiting
            and model_samples > 0
            and self._shape.has_tail_step(self._steps, utterance_samples=model_samples)
        )

    @property
    def earliest_needed_sample(self) -> int:
        """Audio before it, from the utterance's start, will not be heard again."""
        unheard = self._first_unheard_window
        if self._gate is not None:
            return self._gate.earliest_start_sample(unheard)
        rows = max(1, len(self._path.rows))
        earliest_cut = first_searched_row(rows, row_samples=self._row_samples) * self._row_samples
        return min(self.model_start_sample + earliest_cut, unheard * WINDOW_SAMPLES)

    @property
    def _pieces_end_sample(self) -> int:
        pieces = self._path.pieces
        return self.model_start_sample + pieces[-1].end_row * self._row_samples if pieces else 0

    @property
    def _first_unheard_window(self) -> int:
        """The first window that may still be listened to. It never goes back, as audio before it is dropped."""
        return max(self._speech.windows_read, self._passed_windows)

    def _go_to_step(self, steps: int) -> None:
        """So many were taken, of the model or of waiting for it."""
        self._steps = steps
        last_step = self._shape.step_end_sample(steps - 1) if steps else 0
        self.read_until_sample = self.model_start_sample + last_step
        """Where the last step ended, from the utterance's start."""
        self.step_end_sample = self.model_start_sample + self._shape.step_end_sample(steps)
        """Where the next step ends, from the utterance's start."""

    def next_window(self, samples: FloatArray) -> FloatArray:
        """Make the features of the next step from the audio between `read_until_sample` and `step_end_sample`."""
        return self._windows.next_window(samples)

    def read(self, log_probabilities: FloatArray, best_tokens: Sequence[int]) -> None:
        """Take the rows that a step gave, and the argmax of each."""
        self._path.read(log_probabilities, best_tokens)
        self._go_to_step(self._steps + 1)
        # A search may take its last pieces back.
        passed = (self._pieces_end_sample - LISTEN_BEFORE_SAMPLES) // WINDOW_SAMPLES
        self._passed_windows = max(self._passed_windows, passed)

    def wait(self) -> None:
        """Take a step without the model."""
        self._go_to_step(self._steps + 1)

    def waiting(self, *, until_window: int) -> Listening | None:
        """What voice activity must hear of the windows before `until_window` while the model waits."""
        windows = range(self._speech.windows_read, until_window)
        return Listening(windows, is_anew=self._has_missed_silence) if windows else None

    @property
    def listening(self) -> Listening | None:
        """What voice activity must hear before `ending` and `speech_started` are asked.

        It is heard until speech has begun, and wherever silence could end the utterance. Words that keep coming say by
        themselves that somebody speaks.
        """
        heard = self.read_until_sample
        is_begun = self._has_speech_started and self._path.pieces
        if is_begun and heard - self._pieces_end_sample < self._rules.listen_after_samples:
            return None
        first = self._first_unheard_window
        windows = range(first, heard // WINDOW_SAMPLES)
        return Listening(windows, is_anew=first > self._speech.windows_read) if windows else None

    def hear(self, listening: Listening, speech: list[float]) -> None:
        """Take the probability of speech in each window of `listening`."""
        if listening.is_anew:
            self._speech.skip_to(listening.windows.start)
        self._speech.read(speech)

    def hear_waiting(self, listening: Listening, speech: list[float], energies: list[float]) -> bool:
        """As `hear`, while the model waits; with the energy of each window. Says whether it waits no longer."""
        self.hear(listening, speech)
        self._has_missed_silence = False
        start = self._gate.hear(listening.windows.start, speech, energies) if self._gate else None
        if start is None:
            return False
        self._gate = None
        self.model_start_sample = start
        self._go_to_step(0)
        self._stable_before_row = self._shape.stable_before_row(max_samples=self._rules.max_samples - start)
        return True

    def miss_silence(self, listening: Listening) -> None:
        """Pass over windows in which there is nothing to hear."""
        self._speech.skip_to(listening.windows.stop)
        self._has_missed_silence = True

    def ending(self, read: Callable[[int, int], FloatArray]) -> Ending | None:
        """Say where the utterance ends if it does so of itself after the step just read.

        Where it has become too long, the pieces behind the cut are dropped: the next utterance hears them again.

        Args:
            read: gives the samples between two places, counted from the utterance's start.
        """
        path, row_samples = self._path, self._row_samples
        heard = self.read_until_sample
        trailing = max(0, heard - max(self._pieces_end_sample, self._speech.speech_end_sample))
        facts = UtteranceFacts(
            has_words=path.has_words,
            trailing_silence_ms=trailing // SAMPLES_PER_MS,
            utterance_ms=heard // SAMPLES_PER_MS,
        )
        match endpoint_reason(facts, self._rules.endpointing):
            case None:
                return None
            case EndpointReason.max_length if path.rows:
                start = self.model_start_sample
                first = first_searched_row(len(path.rows), row_samples=row_samples) * row_samples
                searched = read(start + first, start + len(path.rows) * row_samples)
                at = cut_between_words(path.rows, self._shape.spelling, searched)
                path.cut_off(-(-at // row_samples))
                return Ending(start + at, EndReason.max_length)
            case reason:
                at = cut_in_silence(heard_samples=heard, trailing_silence_samples=trailing)
                return Ending(at, EndReason(reason.value))

    def speech_started(self, *, end_sample: int) -> SpeechStarted | None:
        """Give the event once: with the first step that heard speech or gave a piece, at whichever began first."""
        if self._has_speech_started:
            return None
        begun = [] if self._speech.onset_sample is None else [self._speech.onset_sample]
        if self._path.pieces:
            begun.append(self.model_start_sample + self._path.pieces[0].first_row * self._row_samples)
        if not begun:
            return None
        self._has_speech_started = True
        return SpeechStarted(self._rules.epoch, min(self.start_sample + min(begun), end_sample))

    def partial(self, *, end_sample: int) -> PartialResult | None:
        """Give the text so far if it, or what of it is stable, has changed."""
        if not self._rules.wants_partials:
            return None
        words = self._path.words
        stable = words[: self._path.stable_words(before_row=self._stable_before_row)]
        if self._rules.presenter is None:
            said = joined(words), len(joined(stable))
        else:
            stable_words = sum(1 for word in stable if word.utf8)
            said = self._rules.presenter.partial(self._placed(end_sample), stable_words=stable_words)
        if said == self._last_partial:
            return None
        self._last_partial = said
        return PartialResult(self._rules.epoch, self.start_sample, end_sample, *said)

    def final(self, *, end_sample: int, reason: EndReason) -> FinalResult:
        """Give the result of [start_sample, end_sample) with all the words there are."""
        words = self._placed(end_sample)
        if self._rules.presenter is None:
            text = " ".join([word.text for word in words])
        else:
            text, words, _ = self._rules.presenter.final(words)
        return FinalResult(self._rules.epoch, self.start_sample, end_sample, text, words, reason)

    def _placed(self, end_sample: int) -> tuple[Word, ...]:
        begun = self.start_sample + self.model_start_sample
        return self._shape.spelling.placed(self._path.words, start_sample=begun, end_sample=end_sample)
