"""What a session may still spend, turned into how far its audio may go to engines.

These must stay true, while no limit is lifted:
  - Audio goes to an engine for the first time only where compute for it was granted, at the reserved price.
  - `through_sample` never goes back: what was allowed once may be sent to another engine too, uncharged.
  - Nothing here waits: news of credit comes by `update`, and until it comes the last holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.interface import SAMPLE_RATE_HZ, SAMPLES_PER_MS
from gateway.session.credit import QuotaUpdate, UsedSoFar
from gateway.session.search import NEVER_MS
from gateway.wire.messages import Usage
from policies.plans import WhenExhausted
from policies.reservation import Reservation

if TYPE_CHECKING:
    from gateway.session.origin import SessionOrigin
    from policies.plans import Level
    from policies.reservation import ReservationRules

UNLIMITED_SAMPLE = 1 << 62


@dataclass(frozen=True, slots=True)
class QuotaRules:
    """How a session deals with its credit.

    Attributes:
        ahead_ms: audio beyond what is there that credit is wished for, so that no audio waits for the limiter.
        piece_ms: with less credit than for so much waiting audio, the session is short of it.
        finish_after_ms: a plan that ends sessions then ends one that was short for so long: news of credit may be late.
        usage_interval_ms: how often a client is told what is left.
        usage_change_ms: and at most how often that it begins or ends to wait for compute.
    """

    when_exhausted: WhenExhausted
    reservation: ReservationRules
    ahead_ms: int
    piece_ms: int
    finish_after_ms: int
    usage_interval_ms: int
    usage_change_ms: int


class SessionQuota:
    """One a session. Samples are positions on its audio clock."""

    __slots__ = (
        "_base_sample",
        "_consumed_sample",
        "_free_from_sample",
        "_free_through_sample",
        "_granted_us",
        "_lost_at_sample",
        "_reservation",
        "_rules",
        "_told_at_ms",
        "_told_short",
        "_when_exhausted",
        "charged_us",
        "finishes_at_ms",
        "level",
        "remaining_us",
        "replayed_us",
        "retry_after_ms",
        "through_sample",
    )

    def __init__(self, rules: QuotaRules, opening: QuotaUpdate, now_ms: int) -> None:
        self._rules = rules
        self._told_at_ms = now_ms
        self._told_short = False
        self._reservation = Reservation(rules.reservation)
        self._consumed_sample = 0
        self._lost_at_sample = 0
        self._base_sample = 0
        """So many samples of what is consumed were not consumed, or not charged, here."""
        self._free_from_sample = UNLIMITED_SAMPLE
        self._free_through_sample = 0
        self._granted_us: int | None = 0
        self.charged_us = 0
        """Spent by engines, without replays."""
        self.replayed_us = 0
        """Spent on audio that was consumed before, by a lost engine or at another gateway: ours."""
        self.through_sample = 0
        """Audio before this may go to engines."""
        self.remaining_us: int | None = None
        self.level: Level | None = None
        self.retry_after_ms: int | None = None
        """Set while the limiter grants less than the next piece of waiting audio needs."""
        self._when_exhausted = rules.when_exhausted
        self.finishes_at_ms = NEVER_MS
        """When the session must end for want of compute, if none comes."""
        self.update(opening, now_ms)

    @property
    def is_short(self) -> bool:
        """Whether audio waits for compute, or soon will."""
        return self.retry_after_ms is not None

    @property
    def consumed_ms(self) -> int:
        """Audio that engines are done with, each piece counted once."""
        return (self._consumed_sample - self._base_sample) // SAMPLES_PER_MS

    @property
    def charged_through_sample(self) -> int:
        """Recognition of all audio before this is charged, here or at another gateway."""
        return max(self._consumed_sample, self._free_through_sample)

    def begin_at(self, origin: SessionOrigin) -> None:
        """Before anything else: the session's audio begins there."""
        self._consumed_sample = self._base_sample = origin.start_sample
        if origin.charged_through_sample > max(origin.start_sample, origin.free_from_sample):
            self._free_from_sample = origin.free_from_sample
            self._free_through_sample = origin.charged_through_sample
        self._pass_over_free_audio()
        if self.through_sample != UNLIMITED_SAMPLE:
            self.through_sample = self._consumed_sample
        self._extend()

    def _pass_over_free_audio(self) -> None:
        """What was charged before counts as consumed once it is reached."""
        if self._consumed_sample < self._free_from_sample:
            return
        self._free_from_sample = UNLIMITED_SAMPLE
        free_samples = self._free_through_sample - self._consumed_sample
        if free_samples > 0:
            self._base_sample += free_samples
            self._consumed_sample += free_samples
            self._lost_at_sample = self._consumed_sample

    def update(self, news: QuotaUpdate, now_ms: int) -> None:
        """Take what the limiter says."""
        self._granted_us = news.granted_us
        self.remaining_us = news.remaining_us
        self.level = news.level
        self.retry_after_ms = news.retry_after_ms
        self._when_exhausted = news.when_exhausted or self._when_exhausted
        if not self.is_short or self._when_exhausted is not WhenExhausted.finish:
            self.finishes_at_ms = NEVER_MS
        elif self.finishes_at_ms == NEVER_MS:
            self.finishes_at_ms = now_ms + self._rules.finish_after_ms
        self._extend()

    def consumed(self, through_sample: int, compute_us: int) -> None:
        """An engine worked up to here and spent so much since it last said so."""
        if through_sample <= self._lost_at_sample:
            self.replayed_us += compute_us
            return
        new_samples = through_sample - self._consumed_sample
        self.charged_us += compute_us
        if new_samples > 0:
            self._consumed_sample = through_sample
        self._reservation.observe(compute_us, max(0, new_samples) // SAMPLES_PER_MS)
        if self._consumed_sample >= self._free_from_sample:
            self._pass_over_free_audio()
        self._extend()

    def engine_lost(self) -> None:
        """What was consumed so far is consumed again, at our expense."""
        self._lost_at_sample = self._consumed_sample

    def standby_consumed(self, compute_us: int) -> None:
        """A standby spent so much: what it hears, another engine hears at the session's expense."""
        self.replayed_us += compute_us

    def engine_replaced(self, through_sample: int) -> None:
        """A standby took over, which has consumed the audio before this at our expense."""
        self._consumed_sample = max(self._consumed_sample, through_sample)
        self._lost_at_sample = self._consumed_sample
        if self._consumed_sample >= self._free_from_sample:
            self._pass_over_free_audio()
        self._extend()

    def used_so_far(self, *, sent_sample: int, end_sample: int, has_more: bool) -> UsedSoFar:
        """`sent_sample`, `end_sample`: where the audio ends that engines were sent, and that came, so far; `has_more`:
        whether more may come.
        """
        ahead_samples = self._rules.ahead_ms * SAMPLES_PER_MS
        waiting_samples = max(0, end_sample - self._consumed_sample)
        in_flight_samples = max(0, sent_sample - self._consumed_sample)
        wanted_samples = min(waiting_samples, in_flight_samples + ahead_samples) + (ahead_samples if has_more else 0)
        least_samples = min(waiting_samples, in_flight_samples + self._rules.piece_ms * SAMPLES_PER_MS)
        return UsedSoFar(
            compute_us=self.charged_us,
            audio_ms=self.consumed_ms,
            wanted_us=self.charged_us + self._price_us(wanted_samples),
            least_us=self.charged_us + self._price_us(least_samples),
        )

    def is_worth_telling(self, now_ms: int) -> bool:
        """Whether the client should hear of its credit now; it counts as told then."""
        elapsed_ms = now_ms - self._told_at_ms
        if self.is_short != self._told_short:
            is_due = elapsed_ms >= self._rules.usage_change_ms
        else:
            is_due = self._granted_us is not None and elapsed_ms >= self._rules.usage_interval_ms
        if is_due:
            self._told_at_ms = now_ms
            self._told_short = self.is_short
        return is_due

    def usage(self, audio_ms: int) -> Usage:
        """The message. `audio_ms`: what is final."""
        return Usage(
            audio_ms=audio_ms,
            compute_us=self.charged_us,
            remaining_us=self.remaining_us,
            level=None if self.level is None else self.level.value,
            is_throttled=self.is_short,
            retry_after_ms=self.retry_after_ms,
        )

    def _price_us(self, num_samples: int) -> int:
        """Rounded up: a fraction that is not reserved could be spent."""
        return -(-num_samples * self._reservation.us_per_audio_s // SAMPLE_RATE_HZ)

    def _extend(self) -> None:
        if self._granted_us is None:
            self.through_sample = UNLIMITED_SAMPLE
            return
        if self.through_sample == UNLIMITED_SAMPLE:
            self.through_sample = self._consumed_sample  # a limit holds again
        credit_us = max(0, self._granted_us - self.charged_us)
        affordable = credit_us * SAMPLE_RATE_HZ // self._reservation.us_per_audio_s
        self.through_sample = max(self.through_sample, self._consumed_sample + affordable)
