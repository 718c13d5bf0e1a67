"""Words on their way from sessions to the store: who may be kept is decided here, and nobody waits for a disk.

These must stay true:
  - Nothing is kept unless the bundle in force says so for this session, in this region, now; it is asked again
    whenever another bundle is in force.
  - A session never waits for the store and never ends for it. What could not be stored is counted, logged and recorded.
  - Words are in memory until they are on the disk, at most `max_queued_finals` of them; nothing here logs one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

import msgspec
import structlog

from gateway.transcripts.interface import KeptFinal, KeptSession, StoreFailed, Swept
from gateway.transcripts.records import context_of, record_about
from gateway.transcripts.rules import Ruling, erasure_of, ruling_of
from policies.residency.vocabulary import Action
from policies.retention import NotKept

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.decision_log.interface import DecisionLog
    from gateway.transcripts.interface import BundleInForce, Spoken, Transcript, TranscriptStore
    from gateway.transcripts.metrics import TranscriptMetrics
    from gateway.transcripts.settings import TranscriptSettings
    from gateway.wire.messages import FinalMessage
    from policies.residency.decision import Decision, Situation
    from policies.retention import NotErased

Answer = TypeVar("Answer")
_FLUSH_WITHIN_S = 3.0
_AT_ONCE = 500

log = structlog.get_logger("transcripts")


class SessionKeeper:
    """Of one session; its methods are called from the session's own steps and return at once."""

    def __init__(self, keeper: TranscriptKeeper, spoken: Spoken, ruling: Ruling) -> None:
        self.spoken = spoken
        self.ruling = ruling
        self.is_begun = False
        """The store has a place for it. Only the writer asks."""
        self.has_failed = False
        self.is_erased = False
        """Its subject's words were erased while it spoke."""
        self.num_heard = 0
        self.num_lost = 0
        self._keeper = keeper

    def heard(self, message: FinalMessage) -> None:
        """The client was told this."""
        self.num_heard += 1
        self._keeper.put(self, KeptFinal(message.start_ms, message.end_ms, message.text))

    def ended(self) -> None:
        """The session is over."""
        self._keeper.put(self, None)


class TranscriptKeeper:
    """One a gateway that may store. `run` until cancelled, then `flush`."""

    def __init__(
        self,
        settings: TranscriptSettings,
        store: TranscriptStore,
        bundles: BundleInForce,
        decisions: DecisionLog,
        metrics: TranscriptMetrics,
        *,
        region: str,
        now_s: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._store = store
        self._bundles = bundles
        self._decisions = decisions
        self._metrics = metrics
        self._region = region
        self._now_s = now_s
        self._waiting: deque[tuple[SessionKeeper, KeptFinal | None]] = deque()
        self._num_finals = 0
        self._has_waiting = asyncio.Event()
        self._live: WeakSet[SessionKeeper] = WeakSet()
        self._told_held: set[tuple[str, str]] = set()
        self._turn = asyncio.Lock()
        """The store is used by one thread at a time."""

    # --- sessions -------------------------------------------------------------------------------------------

    def listener(self, spoken: Spoken) -> SessionKeeper | None:
        """None: nothing of this session is kept; where its project asks for storage, why is told."""
        ruling = self._ruling(spoken)
        if ruling.why_not is NotKept.not_asked:
            return None
        self._tell_ruling(spoken, ruling)
        if ruling.why_not is not None:
            return None
        session = SessionKeeper(self, spoken, ruling)
        self._live.add(session)
        return session

    def put(self, session: SessionKeeper, final: KeptFinal | None) -> None:
        """`final` None: its end, for which there is always room: it holds no words."""
        if final is not None:
            if not self._may_go_on(session):
                return
            if self._num_finals >= self._settings.max_queued_finals:
                self._lose(session, 1, "slow")
                return
            self._num_finals += 1
        self._waiting.append((session, final))
        self._has_waiting.set()

    def _may_go_on(self, session: SessionKeeper) -> bool:
        """Nothing more is taken of a session that cannot be kept as a whole."""
        if session.has_failed:
            self._lose(session, 1, "erased" if session.is_erased else "failed_before")
            return False
        if self._may_be_kept(session):
            return True
        self._lose(session, 1, "not_permitted")
        return False

    def _may_be_kept(self, session: SessionKeeper) -> bool:
        """Another bundle may have other rules."""
        if self._bundles.table is session.ruling.table:
            return session.ruling.why_not is None
        session.ruling = self._ruling(session.spoken)
        if session.ruling.why_not is None:
            return True
        self._tell_ruling(session.spoken, session.ruling)
        session.has_failed = True
        return False

    def _ruling(self, spoken: Spoken) -> Ruling:
        return ruling_of(self._bundles.table, spoken.situation, here=self._region, has_subject=bool(spoken.subject_id))

    def _lose(self, session: SessionKeeper, count: int, reason: str) -> None:
        session.num_lost += count
        self._metrics.lost.labels(reason).inc(count)

    def _tell_ruling(self, spoken: Spoken, ruling: Ruling) -> None:
        why = "stored" if ruling.why_not is None else ruling.why_not.value
        self._metrics.sessions.labels(why).inc()
        if ruling.why_not is not None:
            log.warning("transcript.not_kept", session=spoken.session, reason=why)
        self._record(
            spoken.situation.project,
            Action.store_transcript,
            ruling.decision,
            session=spoken.session,
            situation=spoken.situation,
            detail="words are stored" if ruling.why_not is None else f"words are not stored: {why}",
        )

    # --- the writer -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write, sweep, and put subjects' keys under the current key of the region, until cancelled."""
        await self._rewrap()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_writing())
            tasks.create_task(self._keep_sweeping())

    async def flush(self) -> None:
        """Write what waits, within its time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_WITHIN_S):
                while self._waiting:
                    await self._write()
        for session, final in self._waiting:
            if final is not None:
                self._lose(session, 1, "slow")

    async def _keep_writing(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            while self._waiting:
                await self._write()

    async def _write(self) -> None:
        """What waits, in order, session by session."""
        batch: dict[str, tuple[SessionKeeper, list[KeptFinal]]] = {}
        ended: list[SessionKeeper] = []
        async with self._turn:
            while self._waiting and len(batch) < _AT_ONCE:
                session, final = self._waiting.popleft()
                if final is None:
                    ended.append(session)
                else:
                    self._num_finals -= 1
                    batch.setdefault(session.spoken.session, (session, []))[1].append(final)
            for session, finals in batch.values():
                await self._store_finals(session, finals)
            for session in ended:
                await self._store_end(session)

    async def _store_finals(self, session: SessionKeeper, finals: list[KeptFinal]) -> None:
        if session.has_failed:
            self._lose(session, len(finals), "erased" if session.is_erased else "failed_before")
            return
        if not self._may_be_kept(session):
            self._lose(session, len(finals), "not_permitted")
            return
        try:
            await self._ask(lambda: self._keep(session, finals))
        except StoreFailed as failed:
            self._lose(session, len(finals), failed.reason)
            if not session.has_failed:
                log.error("transcript.store_failed", session=session.spoken.session, reason=failed.reason)
            session.has_failed = failed.reason != "disk"  # a disk may have room again
        else:
            self._metrics.stored.inc(len(finals))

    def _keep(self, session: SessionKeeper, finals: list[KeptFinal]) -> None:
        """On a thread."""
        spoken, ruling = session.spoken, session.ruling
        if not session.is_begun:
            begun_at_s = int(self._now_s())
            kept = KeptSession(
                session=spoken.session,
                project=spoken.situation.project,
                region=self._region,
                begun_at_s=begun_at_s,
                keep_until_s=ruling.keep_until_s(begun_at_s),
                data_class=spoken.situation.data_class.value,
                policy_digest=ruling.policy_digest,
            )
            self._store.begin(kept, spoken.subject_id)
            session.is_begun = True
        self._store.keep(spoken.session, finals)

    async def _store_end(self, session: SessionKeeper) -> None:
        if session.is_begun:
            with suppress(StoreFailed):  # it reads as one that was cut off, which it is
                await self._ask(lambda: self._store.end(session.spoken.session, is_complete=not session.num_lost))
        if session.num_lost:
            log.warning(
                "transcript.incomplete",
                session=session.spoken.session,
                finals=session.num_heard,
                lost=session.num_lost,
            )
            self._record(
                session.spoken.situation.project,
                Action.store_transcript,
                session.ruling.decision,
                session=session.spoken.session,
                detail=f"{session.num_lost} of {session.num_heard} finals could not be stored",
            )

    # --- the end of a term, erasure, reading ----------------------------------------------------------------

    async def _keep_sweeping(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(self._settings.sweep_interval_s)

    async def sweep(self) -> Swept:
        """Erase what is over, as far as the bundle in force lets it go."""
        try:
            kept_here = await self.sessions()
            whys = {kept.project: self._why_not_to_erase(kept.project) for kept in kept_here}
            may_go = {project for project, why in whys.items() if why is None}
            async with self._turn:
                swept = await self._ask(lambda: self._store.sweep(self._now_s(), lambda kept: kept.project in may_go))
        except StoreFailed as failed:
            log.error("transcript.sweep_failed", reason=failed.reason)
            return Swept()
        self._metrics.held.set(len(swept.held))
        if swept.erased:
            self._metrics.erased.labels("expired").inc(len(swept.erased))
            log.info("transcript.expired", pieces=len(swept.erased))
        for kept in swept.erased:
            self._record_erasure(kept, "erased: its term is over")
        for kept in swept.held:
            self._tell_held(kept, whys.get(kept.project))
        self._told_held &= {(kept.session, kept.subject) for kept in swept.held}
        return swept

    def _why_not_to_erase(self, project: str) -> NotErased | None:
        return erasure_of(self._bundles.table, project, here=self._region)[0]

    def _tell_held(self, kept: KeptSession, why: NotErased | None) -> None:
        """Once for each."""
        if (kept.session, kept.subject) in self._told_held or why is None:
            return
        self._told_held.add((kept.session, kept.subject))
        log.warning("transcript.overdue", session=kept.session, reason=why.value)
        self._record_erasure(kept, f"kept beyond its term: {why.value}")

    async def erase(self, project: str, subject_id: str) -> tuple[NotErased | None, int]:
        """Why nothing was erased, or how many pieces were. `project`: `ORG/PROJECT`. Raises StoreFailed.

        Who asked for it writes that down (gateway.operations.transcript_acts).
        """
        why = self._why_not_to_erase(project)
        if why is not None:
            return why, 0
        async with self._turn:
            for session in self._live:
                if (session.spoken.situation.project, session.spoken.subject_id) == (project, subject_id):
                    session.has_failed = session.is_erased = (
                        True  # what it says from here on is not kept, and what waits is not
                    )
            pieces = await self._ask(lambda: self._store.erase(project, subject_id))
        self._metrics.erased.labels("request").inc(pieces)
        return None, pieces

    async def sessions(self) -> list[KeptSession]:
        """Raises StoreFailed."""
        async with self._turn:
            return await self._ask(self._store.sessions)

    async def read(self, session_id: str) -> list[Transcript]:
        """Raises StoreFailed. Whether somebody may is for whoever asks."""
        async with self._turn:
            return await self._ask(lambda: self._store.read(session_id))

    async def _ask(self, call: Callable[[], Answer]) -> Answer:
        """On a thread. Whatever a store meets is told as StoreFailed: none of it may end a gateway, or a session."""
        try:
            return await asyncio.to_thread(call)
        except StoreFailed:
            raise
        except OSError as error:
            raise StoreFailed("disk") from error
        except Exception as error:
            raise StoreFailed("damaged") from error

    async def _rewrap(self) -> None:
        try:
            async with self._turn:
                count = await self._ask(self._store.rewrap)
        except StoreFailed as failed:
            log.error("transcript.rewrap_failed", reason=failed.reason)
            return
        if count:
            log.info("transcript.keys_rewrapped", subjects=count)

    # --- records --------------------------------------------------------------------------------------------

    def _record_erasure(self, kept: KeptSession, detail: str) -> None:
        _why, decision = erasure_of(self._bundles.table, kept.project, here=self._region)
        self._record(kept.project, Action.erase_transcript, decision, session=kept.session, detail=detail)

    def _record(
        self,
        project: str,
        action: Action,
        decision: Decision,
        *,
        session: str,
        detail: str,
        situation: Situation | None = None,
    ) -> None:
        record = record_about(self._bundles.table, project, action, decision, here=self._region, detail=detail)
        context = record.context if situation is None else context_of(situation)
        self._decisions.record(msgspec.structs.replace(record, session=session, context=context))
