"""Audio that came in datagrams, put in order: what is missing is waited for within bounds, then it is a gap. Pure.

These must stay true:
  - What is given out is what was sent, in its order; between two pieces that do not touch lies a gap of exactly the
    samples between them. Nothing is joined over a loss, and nothing is given twice.
  - Places count from 0 at the first sample that the client sends over its connection. Where the next piece must begin
    is known from there on, so a gap is found also where no number is missing.
  - What waits is bounded, in time and in number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gateway.webtransport.reorder_window import ReorderWindow

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LEAP_MS = 60_000
"""A client that skips more than this at once has lost count."""
_REMEMBERED = 64
"""Of those that were given up, to know one that comes after all: of the last minute or more, at 2 % of 50 a second."""


class Gap(NamedTuple):
    """So many samples of one channel, at the announced rate, will not come."""

    samples: int


Piece = bytes | Gap


class OrderBroken(Exception):
    """The client's numbers contradict each other; the text is for its eyes."""


@dataclass(frozen=True, slots=True)
class OrderRules:
    """`measure`: how many samples of a channel a datagram's audio holds; 0 for what is none.

    A piece that is missing is given up when a later one has waited for it as long as the network needs to put things
    out of order (ReorderWindow), at most `reorder_ms`; or when more than `reorder_datagrams` later ones wait. A mark
    waits for `reorder_ms`: it comes on a stream, and may have been sent before the datagrams that it is about.
    """

    measure: Callable[[bytes], int]
    rate_hz: int
    reorder_ms: int
    reorder_datagrams: int

    @property
    def max_leap_samples(self) -> int:
        return MAX_LEAP_MS * self.rate_hz // 1_000


@dataclass(slots=True)
class OrderCounts:
    """Of all sessions that share it: datagrams, but for what says otherwise; `lost_us` is time in recordings."""

    taken: int = 0
    """All that came, but for those below that were dropped."""
    late: int = 0
    """After it had been given up: waiting for longer would have saved it."""
    doubled: int = 0
    reordered: int = 0
    """Came while an earlier one was missing."""
    given_up: int = 0
    """Times that later ones waited for what was missing no longer."""
    waited_ms: int = 0
    """Before that, in all."""
    gaps: int = 0
    lost_us: int = 0


class _Waiting(NamedTuple):
    arrived_at_ms: int
    first_sample: int
    audio: bytes


class _Mark(NamedTuple):
    arrived_at_ms: int
    sequence: int
    sample: int


class DatagramOrder:
    """One session's. Times are of any clock that does not go back."""

    def __init__(self, rules: OrderRules, counts: OrderCounts) -> None:
        self._rules = rules
        self._counts = counts
        self._next_sequence = 0
        self._next_sample = 0
        self._waiting: dict[int, _Waiting] = {}
        """By sequence number, in the order of arrival."""
        self._mark: _Mark | None = None
        self._window = ReorderWindow(rules.reorder_ms)
        self._given_up: dict[int, int | None] = {}
        """By sequence number: when the first later one had come; None: none had, only a mark."""

    @property
    def is_marked(self) -> bool:
        """Whether a mark waits for datagrams before it."""
        return self._mark is not None

    @property
    def deadline_ms(self) -> int | None:
        """When `due` has to give something up, unless more comes before; None: nothing waits."""
        deadlines_ms = []
        if self._overtaken_at_ms is not None:
            deadlines_ms.append(self._overtaken_at_ms + self._window.width_ms)
        if self._mark is not None:
            deadlines_ms.append(self._mark.arrived_at_ms + self._rules.reorder_ms)
        return min(deadlines_ms, default=None)

    @property
    def _overtaken_at_ms(self) -> int | None:
        """When the first came that was sent after what is missing; None: none has."""
        first = next(iter(self._waiting.values()), None)
        return None if first is None else first.arrived_at_ms

    def round_trip(self, min_rtt_us: int | None) -> None:
        """The shortest that the connection has seen, None: none yet; to be told before each step that follows."""
        self._window.round_trip(min_rtt_us)

    def datagram(self, now_ms: int, sequence: int, first_sample: int, audio: bytes) -> list[Piece]:
        """What can be given out with it. Raises OrderBroken."""
        if sequence in self._given_up:
            self._came_after_all(now_ms, sequence)
            return []
        if sequence < self._next_sequence or sequence in self._waiting:
            self._counts.doubled += 1
            return []
        self._check_place(first_sample)
        self._counts.taken += 1
        self._counts.reordered += sequence > self._next_sequence
        later_at_ms = [waits.arrived_at_ms for number, waits in self._waiting.items() if number > sequence]
        if later_at_ms:
            self._window.filled(now_ms - min(later_at_ms))
        self._waiting[sequence] = _Waiting(now_ms, first_sample, audio)
        return self.due(now_ms)

    def mark(self, now_ms: int, sequence: int, sample: int) -> list[Piece]:
        """All datagrams before `sequence` were sent. Nothing behind it is given out until it is passed: when
        `is_marked` is false again, what waits for it on the stream has its turn, and then `due`.

        Raises OrderBroken.
        """
        self._check_place(sample)
        self._mark = _Mark(now_ms, sequence, sample)
        return self.due(now_ms)

    def due(self, now_ms: int) -> list[Piece]:
        """What can be given out by now, at most to the mark. Raises OrderBroken."""
        pieces: list[Piece] = []
        while True:
            pieces += self._in_order()
            mark = self._mark
            if mark is not None and self._next_sequence >= mark.sequence:
                return pieces + self._pass(mark)
            if not self._is_given_up(now_ms):
                return pieces
            self._give_up(now_ms)

    def _is_given_up(self, now_ms: int) -> bool:
        """Whether what is missing next is waited for no longer."""
        deadline_ms = self.deadline_ms
        if deadline_ms is None:
            return False
        threshold = self._window.packet_threshold
        is_overtaken = threshold is not None and max(self._waiting, default=-1) - self._next_sequence >= threshold
        return deadline_ms <= now_ms or is_overtaken or len(self._waiting) > self._rules.reorder_datagrams

    def _give_up(self, now_ms: int) -> None:
        """Go on with what is known to be next."""
        known = [*self._waiting] if self._mark is None else [*self._waiting, self._mark.sequence]
        following = min(known)
        overtaken_at_ms = self._overtaken_at_ms
        for sequence in range(max(self._next_sequence, following - _REMEMBERED), following):
            self._given_up[sequence] = overtaken_at_ms
        while len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        self._next_sequence = following
        if overtaken_at_ms is not None:
            self._counts.given_up += 1
            self._counts.waited_ms += now_ms - overtaken_at_ms
            self._window.given_up()

    def _came_after_all(self, now_ms: int, sequence: int) -> None:
        self._counts.late += 1
        overtaken_at_ms = self._given_up.pop(sequence)
        if overtaken_at_ms is not None:
            self._window.came_after_all(now_ms - overtaken_at_ms)

    def _check_place(self, sample: int) -> None:
        """Before anything waits for it: neither memory nor a gap may depend on an absurd number."""
        if sample > self._next_sample + self._rules.max_leap_samples:
            raise OrderBroken(f"a datagram or mark lies more than {MAX_LEAP_MS // 1_000} s behind all audio before it")

    def _in_order(self) -> list[Piece]:
        """What touches, up to the next that is missing or the mark."""
        pieces: list[Piece] = []
        while self._mark is None or self._next_sequence < self._mark.sequence:
            waiting = self._waiting.pop(self._next_sequence, None)
            if waiting is None:
                break
            pieces += self._gap_to(waiting.first_sample)
            pieces.append(waiting.audio)
            self._next_sample += self._rules.measure(waiting.audio)
            self._next_sequence += 1
        return pieces

    def _pass(self, mark: _Mark) -> list[Piece]:
        """The gap before the mark; none where datagrams overtook it, which say themselves where they belong."""
        self._mark = None
        return self._gap_to(mark.sample) if self._next_sequence == mark.sequence else []

    def _gap_to(self, sample: int) -> list[Piece]:
        missing = sample - self._next_sample
        if missing < 0:
            raise OrderBroken("a datagram or mark lies before the end of the audio that was sent before it")
        if not missing:
            return []
        self._next_sample = sample
        self._counts.gaps += 1
        self._counts.lost_us += missing * 1_000_000 // self._rules.rate_hz
        return [Gap(missing)]
