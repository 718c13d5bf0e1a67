"""What one session of a lab's caller came to: its words, where it was, how long words were late. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from regions.lab.transcripts import SpokenWord

if TYPE_CHECKING:
    from collections.abc import Sequence

_USUAL_GAP_S = 0.5
_SHED = "capacity_shed"
_QUOTA = "quota_exhausted"
_BY_POLICY = frozenset({"wrong_region", "residency_denied", "residency_unavailable"})


@dataclass(frozen=True, slots=True)
class Move:
    """One change of engine or of gateway, as the client was told of it.

    `told_pause_ms`: how long the gateway says that the session was without an engine; of a resume, from the break to
    the new `started`.
    """

    at_s: float
    reason: str
    from_region: str
    to_region: str
    told_pause_ms: float
    is_resume: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a gateway said when it refused a session or ended it. `retry_after_ms` None: it gave no advice."""

    reason: str
    is_retryable: bool
    retry_after_ms: int | None


@dataclass
class Stay:
    """At a gateway of the region; `until_s` 0: to the session's end."""

    region: str
    from_s: float
    until_s: float = 0.0


@dataclass
class CallRecord:
    """One session, times on the monotonic clock in seconds."""

    caller: int
    profile: str
    audio_key: tuple[str, int, int]
    """(audio, voice, milliseconds): which undisturbed run it is held against."""
    words: list[SpokenWord] = field(default_factory=list)
    sent: list[tuple[int, float]] = field(default_factory=list)
    """(through which millisecond audio was sent, when that had been spoken): held audio was spoken before it was sent.
    """
    progress: list[tuple[float, int]] = field(default_factory=list)
    """(when, through which millisecond words were known), whenever that went on."""
    moves: list[Move] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    """Where it was recognised, in turn."""
    sessions: list[str] = field(default_factory=list)
    """Its ids, as gateways named it."""
    stays: list[Stay] = field(default_factory=list)
    protocols: list[str] = field(default_factory=list)
    """What it spoke at each gateway in turn."""
    refusals: list[str] = field(default_factory=list)
    """Reasons for which it was not taken at first."""
    told: list[Told] = field(default_factory=list)
    """Each refusal and each error, as gateways worded it."""
    tier: str = ""
    began_at_s: float = 0.0
    """When it was taken first."""
    failure: str = ""
    """Why it ended without `finished`; empty: it did not."""
    is_finished: bool = False
    ended_at_s: float = 0.0

    @property
    def was_served(self) -> bool:
        return bool(self.regions)

    @property
    def was_shed(self) -> bool:
        """Whether it was ended, or not taken, to make room for others."""
        return any(told.reason == _SHED for told in self.told)

    @property
    def was_ended_by_policy(self) -> bool:
        """Whether it was ended, or not taken, as policy permits nothing."""
        return any(told.reason in _BY_POLICY for told in self.told)

    @property
    def was_ended_by_quota(self) -> bool:
        """Whether it was ended, or not taken, as what its plan allows was used up."""
        return any(told.reason == _QUOTA for told in self.told)

    @property
    def fell_back(self) -> bool:
        """Whether it began to be served over WebTransport, and went on over WebSocket."""
        return len(set(self.protocols)) > 1

    @property
    def words_end_ms(self) -> int:
        return self.words[-1].end_ms if self.words else 0

    def note_progress(self, at_s: float, through_ms: int) -> None:
        if not self.progress or through_ms > self.progress[-1][1]:
            self.progress.append((at_s, through_ms))

    def drop_words_from(self, audio_ms: int) -> None:
        """Finals beyond the last `ack` come again in a resumed session."""
        while self.words and self.words[-1].start_ms >= audio_ms:
            self.words.pop()

    def lags(self) -> list[tuple[float, float]]:
        """(when, how late in ms) for each progress: from when its audio was spoken to its words."""
        sent_ms = [through for through, _ in self.sent]
        found = []
        for at_s, through_ms in self.progress:
            index = bisect_left(sent_ms, through_ms)
            if index < len(self.sent):
                found.append((at_s, 1_000 * (at_s - self.sent[index][1])))
        return found

    def pauses_ms(self) -> list[float]:
        """For each move: how much longer than usual no new words came around it. Usual is the median of all gaps."""
        times = [at_s for at_s, _ in self.progress]
        usual_s = _median([after - before for before, after in pairwise(times)])
        found = []
        for move in self.moves:
            index = bisect_left(times, move.at_s)
            before_s = times[index - 1] if index else move.at_s
            after_s = times[index] if index < len(times) else self.ended_at_s
            found.append(max(0.0, 1_000 * (after_s - before_s - usual_s)))
        return found


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else _USUAL_GAP_S
