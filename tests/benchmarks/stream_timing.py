"""When audio was sent and when results for it came: the lag of each result, for all streams of one server.

Lag is counted from the message with the last sample that the result covers, as its own server says which that is. A
result belongs to the measured time in which that message was sent, so one that comes late is not left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.benchmarks.stream_audio import CHUNK_SAMPLES


@dataclass(slots=True)
class Timings:
    """What the streams of one server gave since `begin`; everything in nanoseconds of `time.perf_counter_ns`."""

    from_ns: int = 0
    until_ns: int = 1 << 62
    partial_lags_ns: list[int] = field(default_factory=list)
    """Of results whose words differ from those before."""
    step_lags_ns: list[int] = field(default_factory=list)
    """Of every model step that a server tells of, with new words or without."""
    first_words_ns: list[int] = field(default_factory=list)
    """From a stream's first audio to its first words."""
    finals_ns: list[int] = field(default_factory=list)
    """From the word that no audio follows to the last result."""
    covered_samples: int = 0
    """Of all streams together, since they were opened."""
    broken: list[str] = field(default_factory=list)
    """Why streams ended that nobody ended."""

    def begin(self, from_ns: int, until_ns: int) -> None:
        """Count only what is said between these."""
        self.from_ns, self.until_ns = from_ns, until_ns
        self.partial_lags_ns.clear()
        self.step_lags_ns.clear()

    def counts(self, sent_at_ns: int) -> bool:
        return self.from_ns <= sent_at_ns < self.until_ns


class StreamTiming:
    """One stream of a server."""

    __slots__ = ("_finished_at_ns", "_has_words", "_sent_at_ns", "_through_sample", "_timings")

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._sent_at_ns: list[int] = []
        self._through_sample = 0
        self._finished_at_ns = 0
        self._has_words = False

    def sent(self, now_ns: int) -> None:
        """One more message of audio is on its way."""
        self._sent_at_ns.append(now_ns)

    def finished(self, now_ns: int) -> None:
        """The server was told that no audio follows."""
        self._finished_at_ns = now_ns

    def step_done(self, through_sample: int, now_ns: int) -> None:
        """The server has heard all audio before this sample."""
        if through_sample <= self._through_sample:
            return
        self._timings.covered_samples += through_sample - self._through_sample
        self._through_sample = through_sample
        if (sent_at_ns := self._sent(through_sample)) and self._timings.counts(sent_at_ns):
            self._timings.step_lags_ns.append(now_ns - sent_at_ns)

    def words_came(self, through_sample: int, now_ns: int) -> None:
        """New words, from audio before this sample."""
        if not self._has_words and self._sent_at_ns:
            self._has_words = True
            self._timings.first_words_ns.append(now_ns - self._sent_at_ns[0])
        if (sent_at_ns := self._sent(through_sample)) and self._timings.counts(sent_at_ns):
            self._timings.partial_lags_ns.append(now_ns - sent_at_ns)

    def last_result_came(self, now_ns: int) -> None:
        if self._finished_at_ns:
            self._timings.finals_ns.append(now_ns - self._finished_at_ns)

    def broke(self, why: str) -> None:
        self._timings.broken.append(why)

    def _sent(self, through_sample: int) -> int:
        """When the audio before this sample was all sent; 0 if it was not: a server pads what was finished."""
        chunk = (through_sample - 1) // CHUNK_SAMPLES
        return self._sent_at_ns[chunk] if 0 <= chunk < len(self._sent_at_ns) else 0
