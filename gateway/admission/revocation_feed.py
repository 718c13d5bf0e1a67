"""Follows the revocations in Redis, and ends what they cover.

These must stay true:
  - What was known once stays in force until it expires or is undone, whatever becomes of Redis.
  - A Redis that lost revocations is given them back by the gateways that still know them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.admission.revocation_log import BEGINNING, LogFull, is_before
from gateway.admission.revocations import Revocation, Revocations, Undone
from gateway.errors import AuthenticationFailed, Reason, Unavailable
from gateway.redis_link.errors import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.admission.metrics import AdmissionMetrics
    from gateway.admission.revocation_log import RevocationLog
    from gateway.admission.settings import RevocationSettings
    from policies.facts import Caller

log = structlog.get_logger("gateway")


class RevocationFeed:
    """One a gateway. `now_s` gives Unix seconds, `monotonic_s` a clock that does not go back.

    `end_those_of` is given a question about callers: it ends the sessions of those for whom the answer is yes, and says
    how many there were.
    """

    def __init__(
        self,
        records: RevocationLog,
        settings: RevocationSettings,
        metrics: AdmissionMetrics,
        end_those_of: Callable[[Callable[[Caller], bool]], int],
        *,
        now_s: Callable[[], int],
        monotonic_s: Callable[[], float],
    ) -> None:
        self.known = Revocations()
        self._records = records
        self._settings = settings
        self._end_those_of = end_those_of
        self._now_s = now_s
        self._monotonic_s = monotonic_s
        self._through = BEGINNING
        self._read_at_s: float | None = None
        self._began_at_s = monotonic_s()
        self._is_reachable = True
        self._losses = 0
        self._has_to_make_up = False
        metrics.revocations.set_function(lambda: float(len(self.known)))
        metrics.revocations_age.set_function(lambda: self.age_s)

    @property
    def age_s(self) -> float:
        """Since all that stood in Redis was known; since the start, if it never was."""
        return self._monotonic_s() - (self._began_at_s if self._read_at_s is None else self._read_at_s)

    def check(self, caller: Caller) -> None:
        if self.known.is_revoked(caller):
            raise AuthenticationFailed(Reason.token_revoked)
        max_age_s = self._settings.max_age_s
        if max_age_s and (self._read_at_s is None or self.age_s > max_age_s):
            raise Unavailable(Reason.revocations_unavailable)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(self._settings.poll_interval_ms / 1_000)

    async def poll(self) -> None:
        """Read what came, and end what it covers. Waits no longer than a few calls to Redis may take."""
        try:
            if self._read_at_s is None:
                await self._records.meet()
                self._losses = self._records.losses
            newest = await self._records.newest()
            if self._records.losses != self._losses or is_before(newest, self._through):
                self._losses = self._records.losses
                self._has_to_make_up = True
            if self._has_to_make_up:
                await self._make_up_for_a_loss()
            elif newest != self._through:
                self._through, _ = await self._read_after(self._through)
        except RedisAway as away:
            if self._is_reachable:
                self._is_reachable = False
                log.warning("revocations.unreachable", why=away.why.value, known=len(self.known))
        else:
            self._is_reachable = True
            self._read_at_s = self._monotonic_s()
        self.known.expire(self._now_s())

    async def _read_after(self, place: str) -> tuple[str, set[str]]:
        """Take everything behind this place; gives the place behind it all, and the names that were there."""
        names: set[str] = set()
        added = undone = unreadable = 0
        now_s = self._now_s()
        is_last = False
        while not is_last:
            page = await self._records.after(place)
            place, is_last = page.through, page.is_last
            unreadable += page.unreadable
            for news in page.news:
                names.add(_name(news))
                has_changed = self.known.take(news, now_s=now_s)
                added += has_changed and isinstance(news, Revocation)
                undone += has_changed and isinstance(news, Undone)
        if added or undone or unreadable:
            ended = self._end_those_of(self.known.is_revoked) if added else 0
            log.info(
                "revocations.changed",
                added=added,
                undone=undone,
                unreadable=unreadable,
                known=len(self.known),
                ended_sessions=ended,
            )
        return place, names

    async def _make_up_for_a_loss(self) -> None:
        """Redis knows less than it did: started without its data, or an older copy took over."""
        through, there = await self._read_after(BEGINNING)
        self.known.expire(self._now_s())
        news: list[Revocation | Undone] = [*self.known, *self.known.undone]
        missing = [one for one in news if _name(one) not in there]
        if missing and not await self._records.may_restore():
            return  # another gateway is at it; what it did not know is still ours to write
        try:
            await self._records.append(missing)
        except LogFull:
            log.warning("revocations.full", missing=len(missing))
        else:
            if missing:
                log.warning("revocations.restored", restored=len(missing))
        self._through = through
        self._has_to_make_up = False


def _name(news: Revocation | Undone) -> str:
    """A revocation and its undoing are two pieces of news."""
    return news.id if isinstance(news, Revocation) else f"undone {news.id}"
