"""Whether a region is fit to take sessions, from what is seen of it over time. Pure: told the time.

Two kinds of evidence, kept apart. *Signs* are what it says of itself: answered probes, the share of its streams that
get answers, its lag. Each trips below a low mark and is well again only above a high one, held for a time; no single
probe or report flips anything. *Effect* is what becomes of sessions placed there. A region may answer every probe and
do sessions no good (it takes audio and answers nothing, it is slow, it breaks the protocol): then its effect trips a
breaker, and only sessions that go well close it again. No probe does.

Source of the marks: Google Cloud's auto-capacity drain, which drains below 25 % of healthy endpoints and restores above
35 % held for 60 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policies.breaker import Breaker, BreakerLimits
from policies.routing_facts import Health

_PERMILLE = 1_000


class Effect(StrEnum):
    """What became of a session's stream in a region. What the region cannot help (its link, a drain) is not told."""

    well = "well"
    """It gave its first final, or went on for so long that it would have."""
    silent = "silent"
    slow = "slow"
    protocol_broken = "protocol_broken"
    failed = "failed"
    """An engine said that it cannot go on."""


class Cause(StrEnum):
    """Why a region is not admitting. Several may hold."""

    probes_missed = "probes_missed"
    not_live = "not_live"
    lagging = "lagging"
    bad_effect = "bad_effect"


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """When a sign is bad, when it is well again, and how much evidence effect needs.

    Attributes:
        missed_probes: in a row, until it is bad.
        low_live_permille, high_live_permille: of streams that owe an answer, those that get one.
        high_lag_ms, low_lag_ms: audio not recognised yet; bad above the high one.
        reports_in_a_row: how many reports must say so before liveness or lag is bad.
        held_ms: how long a bad sign must be good without a break before it is well.
        effect_half_life_ms: after so long a session's end counts half.
        min_evidence: sessions, decayed, below which effect says nothing.
        bad_effect_permille: share of sessions lost there that trips.
    """

    missed_probes: int = 3
    low_live_permille: int = 250
    high_live_permille: int = 350
    high_lag_ms: int = 10_000
    low_lag_ms: int = 2_000
    reports_in_a_row: int = 2
    held_ms: int = 10_000
    effect_half_life_ms: int = 30_000
    min_evidence: int = 5
    bad_effect_permille: int = 600

    def __post_init__(self) -> None:
        if not 0 <= self.low_live_permille <= self.high_live_permille <= _PERMILLE:
            raise ValueError("marks of liveness must rise: 0 <= low <= high <= 1000 permille")
        if not 0 <= self.low_lag_ms <= self.high_lag_ms:
            raise ValueError("marks of lag must rise: 0 <= low <= high")
        if min(self.missed_probes, self.reports_in_a_row) < 2:
            raise ValueError("one probe or report may not flip anything: at least 2 in a row")
        if min(self.held_ms, self.effect_half_life_ms) < 1 or self.min_evidence < 2:
            raise ValueError("times must be above zero, and effect needs at least 2 sessions")


class RegionHealth:
    """Of one region as one gateway sees it. Times must not fall from call to call."""

    def __init__(self, limits: HealthLimits, breaker: BreakerLimits) -> None:
        self._limits = limits
        self._probes = _Sign(limits.missed_probes, limits.held_ms)
        self._live = _Sign(limits.reports_in_a_row, limits.held_ms)
        self._lag = _Sign(limits.reports_in_a_row, limits.held_ms)
        self._breaker = Breaker(breaker)
        self._effect = _Effect(limits.effect_half_life_ms)

    def probe_answered(self, now_ms: int) -> None:
        self._probes.saw(now_ms, is_bad=False, is_good=True)

    def probe_missed(self, now_ms: int) -> None:
        self._probes.saw(now_ms, is_bad=True, is_good=False)

    def status_heard(self, now_ms: int, *, live_permille: int, lag_ms: int) -> None:
        """The region's own report of itself."""
        limits = self._limits
        self._live.saw(
            now_ms,
            is_bad=live_permille < limits.low_live_permille,
            is_good=live_permille > limits.high_live_permille or live_permille >= _PERMILLE,
        )
        self._lag.saw(now_ms, is_bad=lag_ms > limits.high_lag_ms, is_good=lag_ms <= limits.low_lag_ms)

    def session_ended(self, now_ms: int, effect: Effect, *, placed_at_ms: int, standing: int) -> None:
        """What became of a stream that was placed there at that time; tell it once for each stream.

        Args:
            standing: streams of this gateway that are there and go on. They count as sessions that go well: one engine
                of many that takes its sessions with it is not the region's death.
        """
        is_bad = effect is not Effect.well
        if self._breaker.state(now_ms) is Health.admitting:
            self._effect.add(now_ms, is_bad=is_bad)
            if is_bad and self._effect.trips(self._limits, standing):
                self._breaker.trip(now_ms)
            return
        if is_bad:
            self._breaker.failed(now_ms, placed_at_ms=placed_at_ms)
            return
        self._breaker.succeeded(now_ms, placed_at_ms=placed_at_ms)
        if self._breaker.state(now_ms) is Health.admitting:
            self._effect.forget()

    def turned_away(self, now_ms: int) -> None:
        """A placement that `begin` let through was refused, or lost by no fault of the region."""
        self._breaker.turned_away(now_ms)

    def begin(self, now_ms: int) -> bool:
        """Whether a session may be placed there now. Ask for each placement: yes may use up a probe."""
        return not self._bad_signs() and self._breaker.begin(now_ms)

    def state(self, now_ms: int) -> Health:
        return Health.tripped if self._bad_signs() else self._breaker.state(now_ms)

    def causes(self, now_ms: int) -> tuple[Cause, ...]:
        """Why it is not admitting; empty when it is."""
        by_effect = () if self._breaker.state(now_ms) is Health.admitting else (Cause.bad_effect,)
        return (*self._bad_signs(), *by_effect)

    def _bad_signs(self) -> tuple[Cause, ...]:
        signs = ((Cause.probes_missed, self._probes), (Cause.not_live, self._live), (Cause.lagging, self._lag))
        return tuple(cause for cause, sign in signs if sign.is_bad)


class _Sign:
    """Bad after so many bad sights in a row; well at a good sight when all of the last `held_ms` were good."""

    def __init__(self, bad_in_a_row: int, held_ms: int) -> None:
        self._bad_in_a_row = bad_in_a_row
        self._held_ms = held_ms
        self._bad_seen = 0
        self.is_bad = False
        self._good_since_ms: int | None = None

    def saw(self, now_ms: int, *, is_bad: bool, is_good: bool) -> None:
        self._bad_seen = self._bad_seen + 1 if is_bad else 0
        if self._bad_seen >= self._bad_in_a_row:
            self.is_bad = True
        if not is_good:
            self._good_since_ms = None
        elif self._good_since_ms is None:
            self._good_since_ms = now_ms
        elif now_ms - self._good_since_ms >= self._held_ms:
            self.is_bad = False


class _Effect:
    """Sessions that went well and that were lost, each counted less as time goes by."""

    def __init__(self, half_life_ms: int) -> None:
        self._half_life_ms = half_life_ms
        self._at_ms = 0
        self._well = 0.0
        self._bad = 0.0

    def add(self, now_ms: int, *, is_bad: bool) -> None:
        decay = 0.5 ** ((now_ms - self._at_ms) / self._half_life_ms)
        self._at_ms = now_ms
        self._well = self._well * decay + (not is_bad)
        self._bad = self._bad * decay + is_bad

    def trips(self, limits: HealthLimits, standing: int) -> bool:
        total = max(self._well, standing) + self._bad
        return total >= limits.min_evidence and self._bad * _PERMILLE >= limits.bad_effect_permille * total

    def forget(self) -> None:
        """It has shown that it works: what was before says nothing any more."""
        self._well = self._bad = 0.0
