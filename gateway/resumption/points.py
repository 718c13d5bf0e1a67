"""Where all sessions of this gateway stand, written to the region's Redis in the background, and claimed from there.

These must stay true:
  - Nothing here is on the audio path: `commit` puts a value into a dictionary, a task writes what is there each tick.
  - While Redis is away its sessions go on; what is written when it is back is where they stand then.
  - Of a session that another gateway claimed nothing is written any more, and the session here is ended.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.metering.exporter.backoff import backoff_ms
from gateway.resumption.interface import StoreAway
from gateway.resumption.metrics import KnownBy
from gateway.resumption.settings import FINISHED_TTL_S
from gateway.resumption.waiting import WaitingPoints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.redis_link.client import RedisLink
    from gateway.resumption.interface import CommitLog, CommitPoint
    from gateway.resumption.metrics import ResumptionMetrics
    from gateway.resumption.peers import PeerRegions
    from gateway.resumption.settings import ResumptionSettings
    from gateway.resumption.stored_points import StoredPoints
    from policies.residency.decision import Situation

log = structlog.get_logger("gateway")

_CAPACITY = 100_000
_RENEW_S = 10.0
"""A session that says nothing new is written again so often: it stays known, and learns that it was claimed."""
_RENEW_LOOK_S = 1.0
_KEPT_ALONE = 10_000
_ASKED_IN_A_TURN = 16


@dataclass(frozen=True, slots=True)
class KeptCopies:
    """Of the copies that another region sent: sessions that a later gateway has, and those that may not be kept."""

    superseded: tuple[str, ...] = ()
    not_permitted: tuple[str, ...] = ()


class StoredCommitPoints:
    """CommitPoints of a gateway. `run` while it lives. `link` None: no Redis; then it alone knows its sessions.

    `peers` None: no other region.
    """

    def __init__(
        self,
        settings: ResumptionSettings,
        link: RedisLink | None,
        metrics: ResumptionMetrics,
        *,
        region: str,
        peers: PeerRegions | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._region = region
        self._peers = peers
        self._own: StoredPoints | None = None
        self._copies: StoredPoints | None = None
        if link is not None:
            from gateway.resumption.stored_points import StoredPoints

            self._own = StoredPoints(link, link.names.commit, ttl_s=settings.ttl_s)
            self._copies = StoredPoints(link, link.names.commit_copy, ttl_s=settings.ttl_s)
        self.may_keep: Callable[[Situation | None], bool] = lambda _situation: True
        """Whether this region's own policy lets it keep where such a session of another region stands."""
        self._open: dict[str, _OpenSession] = {}
        self._waiting = WaitingPoints(_CAPACITY)
        self._alone = KeptAlone(_KEPT_ALONE)
        self._is_away = False
        if peers is not None:
            peers.on_superseded = self._refused

    # --- sessions that are here -------------------------------------------------------------------------

    def open(self, point: CommitPoint, permitted: frozenset[str], on_superseded: Callable[[], None]) -> CommitLog:
        """See gateway.resumption.interface.CommitPoints."""
        session = _OpenSession(self, point, permitted, on_superseded)
        before = self._open.get(point.session_id)
        if before is not None and before.latest.generation > point.generation:
            # Taken up once more meanwhile; whoever opens this one has not seen it yet.
            session.is_superseded = True
            asyncio.get_running_loop().call_soon(self._supersede, session)
            return session
        if before is not None:
            self._superseded(point.session_id)
        self._open[point.session_id] = session
        session.commit(point)
        return session

    def _committed(self, session: _OpenSession) -> None:
        session.written_at_s = time.monotonic()
        if self._own is not None and self._region in session.permitted:
            self._waiting.put(session.latest)
        if self._peers is not None:
            session.copied_to |= self._peers.put(session.latest, session.permitted)

    def _permitted(self, session: _OpenSession) -> None:
        """What waits for a region that may not have it any more is dropped; the others get it anew."""
        if self._region not in session.permitted:
            self._waiting.forget(session.latest.session_id)
            self._waiting.put_finished(session.latest)  # what is written of it already does not stay
        if self._peers is not None:
            self._peers.forget(session.latest.session_id, but_in=session.permitted)
            self._peers.end_copies(session.latest, session.copied_to - session.permitted)
            session.copied_to &= session.permitted
        self._committed(session)

    def _closed(self, session: _OpenSession, *, is_finished: bool) -> None:
        point = session.latest
        if self._open.get(point.session_id) is session:
            del self._open[point.session_id]
        if session.is_superseded:
            return
        if self._region not in session.permitted:
            pass  # the region may keep nothing of it
        elif self._own is None:
            self._alone.put(point, ttl_s=FINISHED_TTL_S if is_finished else self._settings.ttl_s)
        elif is_finished:
            self._waiting.put_finished(point)
        if is_finished and self._peers is not None:
            self._peers.put_finished(point, session.permitted)

    def _superseded(self, session_id: str) -> None:
        self._waiting.forget(session_id)
        session = self._open.pop(session_id, None)
        if session is not None:
            self._supersede(session)

    def _supersede(self, session: _OpenSession) -> None:
        self._metrics.superseded.inc()
        session.supersede()

    def _refused(self, point: CommitPoint) -> None:
        """A later gateway has the session. Not so where it is another tab: then this one took it up anew meanwhile."""
        session = self._open.get(point.session_id)
        if session is not None and session.latest.tab_id == point.tab_id:
            self._superseded(point.session_id)

    # --- sessions that go on here -------------------------------------------------------------------------

    async def claim(self, session_id: str, org: str, home: str) -> CommitPoint | None:
        """See gateway.resumption.interface.CommitPoints."""
        is_live = session_id in self._open
        point, known_by = await self._claim_here(session_id, org)
        if point is None or (home != self._region and not is_live):
            point, known_by = await self._claim_elsewhere(session_id, org, home, (point, known_by))
        self._metrics.resumed.labels((KnownBy.client_alone if point is None else known_by).value).inc()
        return point

    async def _claim_elsewhere(
        self, session_id: str, org: str, home: str, known_here: tuple[CommitPoint | None, KnownBy]
    ) -> tuple[CommitPoint | None, KnownBy]:
        """`known_here`: from when this region had the session itself. The region that had it last knows best,
        and must learn that it lost it.
        """
        at_home: CommitPoint | None = None
        if home != self._region and self._peers is not None:
            at_home = await self._peers.claim(home, session_id, org)
        copy = None if at_home is not None else await self._claim_stored(self._copies, session_id, org)
        older = sorted((known_here, (copy, KnownBy.copy)), key=_newest_first)
        found = [each for each in ((at_home, KnownBy.home_region), *older) if each[0] is not None]
        if not found:
            return None, KnownBy.client_alone
        point, known_by = found[0]
        here, _ = known_here
        if point is None or here is None:
            return point, known_by
        # What this region writes from here on must be above what it kept itself.
        return msgspec.structs.replace(point, generation=max(point.generation, here.generation)), known_by

    async def claim_for_peer(self, session_id: str, org: str) -> CommitPoint | None:
        """Another region takes a session of this one up."""
        point, _ = await self._claim_here(session_id, org)
        return point

    async def keep_copies(self, points: Sequence[CommitPoint], finished: Sequence[CommitPoint]) -> KeptCopies:
        """Of sessions of another region, as far as this region's own policy permits. Raises StoreAway."""
        permitted: list[CommitPoint] = []
        denied: list[CommitPoint] = []
        for number, point in enumerate(points, 1):
            (permitted if self.may_keep(point.situation) else denied).append(point)
            if number % _ASKED_IN_A_TURN == 0:
                await asyncio.sleep(0)  # a decision that is not remembered takes a while
        not_permitted = tuple(point.session_id for point in denied)
        if self._copies is None:
            return KeptCopies(not_permitted=not_permitted)
        kept = await self._copies.write(permitted)
        if finished or denied:
            await self._copies.finish([*finished, *denied])  # what was kept of them while it was permitted
        lost = [point.session_id for point, is_kept in zip(permitted, kept, strict=True) if not is_kept]
        return KeptCopies(tuple(lost), not_permitted)

    async def _claim_here(self, session_id: str, org: str) -> tuple[CommitPoint | None, KnownBy]:
        here = self._open.get(session_id)
        if here is None or here.latest.org != org:
            if self._own is None:
                return self._alone.claim(session_id, org), KnownBy.this_gateway
            unwritten = self._waiting.newest(session_id)
            stored = await self._claim_stored(self._own, session_id, org)
            return _newer(unwritten if unwritten is not None and unwritten.org == org else None, stored), (
                KnownBy.this_region
            )
        latest = here.latest
        self._superseded(session_id)
        return _newer(latest, await self._claim_stored(self._own, session_id, org)), KnownBy.this_gateway

    async def _claim_stored(self, stored: StoredPoints | None, session_id: str, org: str) -> CommitPoint | None:
        if stored is None:
            return None
        try:
            return await stored.claim(session_id, org)
        except StoreAway:
            self._metrics.failures.inc()
            return None

    # --- writing ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            if self._peers is not None:
                tasks.create_task(self._peers.run())
            tasks.create_task(self._renew_for_ever())
            if self._own is not None:
                tasks.create_task(self._write_for_ever(self._own))

    async def _write_for_ever(self, own: StoredPoints) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(self._settings.tick_ms / 1_000)
            self._metrics.waiting.set(len(self._waiting))
            if not self._waiting:
                continue
            if await self.write(own):
                attempt = 0
                continue
            attempt += 1
            pause_ms = backoff_ms(attempt, first_ms=50, max_ms=5_000, dice=random.random())
            await asyncio.sleep(pause_ms / 1_000)

    async def write(self, own: StoredPoints) -> bool:
        """All that waits; whether Redis took it."""
        points, finished = self._waiting.take()
        try:
            kept = await own.write(points)
            if finished:
                await own.finish(finished)
        except StoreAway as away:
            self._waiting.put_back(points, finished)
            self._metrics.failures.inc()
            if not self._is_away:
                self._is_away = True
                log.warning("commit_points.redis_away", reason=str(away))
            return False
        except asyncio.CancelledError:
            self._waiting.put_back(points, finished)
            raise
        if self._is_away:
            self._is_away = False
            log.info("commit_points.redis_back")
        self._metrics.commits.inc(sum(kept))
        for point, is_kept in zip(points, kept, strict=True):
            if not is_kept:
                self._refused(point)
        return True

    async def flush(self) -> None:
        """At the gateway's end: what waits is written once, if Redis is there."""
        if self._own is not None and self._waiting:
            await self.write(self._own)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_LOOK_S)
            due_s = time.monotonic() - _RENEW_S
            for session in list(self._open.values()):
                if session.written_at_s < due_s:
                    self._committed(session)


class _OpenSession:
    """CommitLog of one session."""

    __slots__ = ("_on_superseded", "_points", "copied_to", "is_superseded", "latest", "permitted", "written_at_s")

    def __init__(
        self,
        points: StoredCommitPoints,
        point: CommitPoint,
        permitted: frozenset[str],
        on_superseded: Callable[[], None],
    ) -> None:
        self._points = points
        self._on_superseded = on_superseded
        self.latest = point
        self.permitted = permitted
        self.copied_to: frozenset[str] = frozenset()
        """Regions that may have been told of it."""
        self.is_superseded = False
        self.written_at_s = 0.0

    def commit(self, point: CommitPoint) -> None:
        if not self.is_superseded:
            self.latest = point
            self._points._committed(self)

    def permit(self, permitted: frozenset[str], situation: Situation) -> None:
        self.permitted = permitted
        self.latest = msgspec.structs.replace(self.latest, situation=situation)
        if not self.is_superseded:
            self._points._permitted(self)

    def close(self, *, is_finished: bool) -> None:
        self._points._closed(self, is_finished=is_finished)

    def supersede(self) -> None:
        self.is_superseded = True
        self._on_superseded()


class KeptAlone:
    """Where closed sessions stood, for a gateway without a Redis; the oldest are dropped."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._points: OrderedDict[str, tuple[CommitPoint, float]] = OrderedDict()

    def put(self, point: CommitPoint, *, ttl_s: int) -> None:
        self._points[point.session_id] = (point, time.monotonic() + ttl_s)
        self._points.move_to_end(point.session_id)
        if len(self._points) > self._capacity:
            self._points.popitem(last=False)

    def claim(self, session_id: str, org: str) -> CommitPoint | None:
        point, until_s = self._points.get(session_id, (None, 0.0))
        if point is None or point.org != org or time.monotonic() >= until_s:
            return None
        claimed = msgspec.structs.replace(point, generation=point.generation + 1)
        self._points[session_id] = (claimed, until_s)
        return claimed


def _newest_first(found: tuple[CommitPoint | None, KnownBy]) -> tuple[int, int]:
    point, _ = found
    return (0, 0) if point is None else (-point.generation, -point.committed_sample)


def _newer(latest: CommitPoint | None, stored: CommitPoint | None) -> CommitPoint | None:
    """`latest`: what this gateway knows of its own; `stored`: what Redis answered to the claim, already one more."""
    if latest is None:
        return stored
    claimed = msgspec.structs.replace(latest, generation=latest.generation + 1)
    if stored is None or stored.generation <= claimed.generation:
        return claimed
    # Redis counted further: claims whose client never came. Where it stands is known better here.
    if stored.tab_id == latest.tab_id:
        return msgspec.structs.replace(latest, generation=stored.generation)
    return stored
