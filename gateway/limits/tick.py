"""The heartbeat: every tick what is due of all sessions is gathered, written to the journal, and settled in Redis.

These must stay true:
  - What is settled was committed to the journal before, unless the disk fails; then the bill goes by Redis alone.
  - Scanning sessions that have nothing due costs a comparison each.
  - Where the keys of one org are broken, that org alone is without limits meanwhile.
  - Rounds may overlap where Redis is slow; a tab is in one of them at most.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING

import structlog

from gateway.limits.calls import Restore, Status
from gateway.limits.tabs import UNLIMITED
from gateway.limits.turns import cut_if_due, next_look_ms, next_request, restoring, take_reply
from gateway.logs import tenant_hash
from gateway.metering.errors import JournalFailed
from gateway.redis_link.errors import AwayReason, RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.limits.away import Presence
    from gateway.limits.calls import Reply
    from gateway.limits.metrics import LimiterMetrics
    from gateway.limits.quota_calls import QuotaCalls
    from gateway.limits.tabs import Tab, TabHouse
    from gateway.limits.turns import TabRequest, TurnRules
    from gateway.session.credit import UsedSoFar

    Due = list[tuple[Tab, TabRequest]]

log = structlog.get_logger("gateway")

_MAX_DUE = 500
"""In one tick; the rest goes with the next. Making and reading so many takes the event loop some tens of ms in all."""
_MAX_IN_SCRIPT = 64
"""Requests of an org in one run of the script, during which Redis does nothing else."""
_MAX_IN_CALL = 64
"""Requests in one round trip, which the event loop makes, and reads, without a break."""
_MAX_ROUNDS = 16


class Ticker:
    """Owns the live tabs, and those that are over and not settled."""

    def __init__(
        self,
        calls: QuotaCalls,
        presence: Presence,
        house: TabHouse,
        rules: TurnRules,
        metrics: LimiterMetrics,
        *,
        refresh_plan: Callable[[Tab], None],
    ) -> None:
        self.tabs: dict[str, Tab] = {}
        self.may_restore: Callable[[Tab], bool] = lambda _: True
        self.on_loss: Callable[[], None] = lambda: None
        self.used_away: Callable[[Tab], None] = lambda _: None
        self._calls = calls
        self._presence = presence
        self._house = house
        self._rules = rules
        self._metrics = metrics
        self._refresh_plan = refresh_plan
        self._num_of_org: Counter[str] = Counter()
        self._stopped_at = 0
        self._num_rounds = 0
        self._is_journal_failing = False
        self._broken_orgs: set[str] = set()
        metrics.tabs.set_function(lambda: len(self.tabs))
        metrics.throttled.set_function(lambda: sum(tab.is_waiting for tab in self.tabs.values()))
        metrics.unsettled_slices.set_function(lambda: sum(len(tab.pending) for tab in self.tabs.values()))

    def add(self, tab: Tab) -> None:
        self.tabs[tab.session_id] = tab
        self._num_of_org[tab.labels.org] += 1

    def _forget(self, tab: Tab) -> None:
        """All of it is settled."""
        if self.tabs.pop(tab.session_id, None) is None:
            return
        self.used_away(tab)
        org = tab.labels.org
        self._num_of_org[org] -= 1
        if not self._num_of_org[org]:
            del self._num_of_org[org]

    def look_at_all(self) -> None:
        """Redis went or came: each tab is looked at in the next tick."""
        for tab in self.tabs.values():
            tab.look_at_ms = 0

    def tell_labels_again(self) -> None:
        """Those that were not told with the place."""
        for tab in self.tabs.values():
            if tab.labels.add_ons:
                tab.has_new_labels = True
                tab.look_at_ms = 0

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as rounds:
            while True:
                await asyncio.sleep(self._rules.tick_ms / 1_000)
                if self._num_rounds < _MAX_ROUNDS and (due := self.gather()):
                    self._num_rounds += 1
                    rounds.create_task(self._counted(due))

    async def flush(self) -> None:
        """Until everything that is over is settled, or Redis goes away."""
        while not self._presence.is_away and any(tab.is_over for tab in self.tabs.values()):
            self.look_at_all()
            if due := self.gather():
                await self.settle(due)
            else:
                await asyncio.sleep(self._rules.tick_ms / 1_000)

    def gather(self) -> Due:
        """What is due by now; its tabs count as under way until `settle` is through with them."""
        now_ms, is_away = self._house.monotonic_ms(), self._presence.is_away
        due: Due = []
        for place, tab in self._from_where_it_stopped():
            if now_ms < tab.look_at_ms or tab.is_in_flight:
                continue
            if len(due) == _MAX_DUE:
                self._stopped_at = place
                return due
            used = cut_if_due(tab, now_ms, self._rules, is_away=is_away)
            if is_away:
                self._look_while_away(tab, now_ms)
                continue
            request = self._request_of(tab, used, now_ms)
            tab.look_at_ms = next_look_ms(tab, used, now_ms, self._rules, request=request)
            if request is not None:
                tab.is_in_flight = True
                due.append((tab, request))
        self._stopped_at = 0
        return due

    def _from_where_it_stopped(self) -> Iterable[tuple[int, Tab]]:
        """All tabs; where one tick was not enough for all that were due, the next begins with the rest."""
        tabs, first = self.tabs.values(), self._stopped_at
        if first == 0:
            return enumerate(tabs)
        return chain(islice(enumerate(tabs), first, None), islice(enumerate(tabs), first))

    def _look_while_away(self, tab: Tab, now_ms: int) -> None:
        if tab.is_limited and tab.granted_us is not None:
            tab.tell(UNLIMITED)
        self.used_away(tab)
        tab.look_at_ms = now_ms + self._rules.slice_ms

    def _request_of(self, tab: Tab, used: UsedSoFar | None, now_ms: int) -> TabRequest | None:
        self._refresh_plan(tab)
        if not tab.needs_restore:
            return next_request(tab, used, now_ms, self._rules, num_sharing=self._num_of_org[tab.labels.org])
        if not self.may_restore(tab):
            return None
        return restoring(tab, self._house.journal.tab(tab.session_id))

    async def _counted(self, due: Due) -> None:
        try:
            await self.settle(due)
        finally:
            self._num_rounds -= 1

    async def settle(self, due: Due) -> None:
        """Journal, then Redis, then the news to the sessions."""
        try:
            if any(request.slices for _, request in due):
                await self._committed()
            sendings = list(_sendings(due))
            if len(sendings) == 1:
                await self._send(sendings[0])
                return
            async with asyncio.TaskGroup() as calls:
                for sending in sendings:
                    calls.create_task(self._send(sending))
                    await asyncio.sleep(0)  # between two, whoever else is ready has its turn
        finally:
            for tab, _ in due:
                tab.is_in_flight = False

    async def _committed(self) -> None:
        """A disk that is too slow must not keep sessions from their credit."""
        try:
            async with asyncio.timeout(self._rules.slice_ms / 1_000):
                await self._house.journal.committed()
        except (JournalFailed, TimeoutError) as error:
            self._metrics.journal_failures.inc()
            if not self._is_journal_failing:
                log.error("journal.bypassed", reason=error.reason if isinstance(error, JournalFailed) else "slow")
            self._is_journal_failing = True
        else:
            self._is_journal_failing = False

    async def _send(self, batches: Sequence[tuple[str, Due]]) -> None:
        sent_at_ms = self._house.monotonic_ms()
        try:
            outcomes = await self._calls.many([(org, [request for _, request in of_org]) for org, of_org in batches])
        except RedisAway as away:
            for org, of_org in batches:
                self.failed(away, org, began_at_ms=sent_at_ms)
                for tab, _ in of_org:
                    tab.look_at_ms = 0
            return
        for (org, of_org), outcome in zip(batches, outcomes, strict=True):
            if isinstance(outcome, RedisAway):
                is_of_org_alone = self.failed_for(outcome, org, began_at_ms=sent_at_ms)
                for tab, _ in of_org:
                    tab.look_at_ms = 0
                    if is_of_org_alone:
                        self._look_while_away(tab, self._house.monotonic_ms())
                continue
            self._broken_orgs.discard(org)
            for (tab, request), reply in zip(of_org, outcome, strict=True):
                self._take(tab, request, reply, sent_at_ms)

    def _take(self, tab: Tab, request: TabRequest, reply: Reply, sent_at_ms: int) -> None:
        had_tab = not tab.needs_restore
        if reply.status is Status.unknown_tab and tab.is_over and not tab.next_number:
            self._forget(tab)  # its place was never taken, and it used nothing
        elif take_reply(tab, request, reply, sent_at_ms=sent_at_ms, rules=self._rules):
            self._forget(tab)
        elif tab.needs_restore and had_tab:
            self.on_loss()
        elif isinstance(request, Restore):
            self._metrics.restored.inc()
        if self._presence.is_away and tab.is_limited and tab.granted_us is not None:
            tab.tell(UNLIMITED)  # the answer came late
        if reply.shadow_for is not None and reply.shadow_level is not None:
            self._metrics.shadow_refusals.labels(reply.shadow_for.value, reply.shadow_level.value).inc()

    def is_broken(self, org: str) -> bool:
        """Whether its keys were broken at the last call, and one of its tabs will tell when they are not."""
        return org in self._broken_orgs and self._num_of_org[org] > 0

    def failed_for(self, away: RedisAway, org: str, *, began_at_ms: int) -> bool:
        """A call that was for that org alone failed; whether Redis is away for that org only."""
        if away.why is not AwayReason.broken:
            self.failed(away, org, began_at_ms=began_at_ms)
            return False
        self._metrics.failures.labels(away.why.value).inc()
        if org not in self._broken_orgs:
            self._broken_orgs.add(org)
            log.error("limiter.org_broken", tenant=tenant_hash(org), error=away.detail)
        return True

    def failed(self, away: RedisAway, org: str, *, began_at_ms: int) -> None:
        """A call failed, of whoever."""
        if self._presence.failed(away, org, began_at_ms=began_at_ms):
            self.look_at_all()


def _sendings(due: Due) -> Iterable[list[tuple[str, Due]]]:
    """Round trips of not too many requests, an org's together; who has waited longest for more comes first."""
    by_org: dict[str, Due] = {}
    for each in due:
        by_org.setdefault(each[0].labels.org, []).append(each)
    sending: list[tuple[str, Due]] = []
    num_requests = 0
    for org, of_org in by_org.items():
        of_org.sort(key=lambda each: each[0].raised_at_ms)
        for at in range(0, len(of_org), _MAX_IN_SCRIPT):
            part = of_org[at : at + _MAX_IN_SCRIPT]
            sending.append((org, part))
            num_requests += len(part)
            if num_requests >= _MAX_IN_CALL:
                yield sending
                sending, num_requests = [], 0
    if sending:
        yield sending
