"""What operators do with stored words: read them in an emergency, and erase a subject's. Each is written down.

These must stay true:
  - Nobody reads words without policy's permission of `support_access` for the region that the words are in and the one
    that he reads from, under an emergency permission that two people gave him by name.
  - The record is written before the words are handed over; where it cannot be, they are not.
  - Lists show no words and no subject: pseudonyms alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from gateway.operations.audit_event import Act, AuditEvent
from gateway.operations.refusals import ActReason, ActRefused, refused
from gateway.transcripts.interface import StoreFailed
from gateway.transcripts.records import record_about
from gateway.transcripts.rules import decide_for_project
from policies.residency.record import RecordContext
from policies.residency.vocabulary import Action
from policies.retention import NotErased

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.decision_log.interface import DecisionLog
    from gateway.operations.glass_book import GlassBook
    from gateway.operations.operators import Operator
    from gateway.transcripts.interface import BundleInForce, KeptSession, Transcript
    from gateway.transcripts.keeping import TranscriptKeeper
    from policies.residency.break_glass import Permission
    from policies.residency.decision import Decision

KIND = "transcript"
_RECORD_WITHIN_S = 3.0

log = structlog.get_logger("transcripts")


@dataclass(frozen=True, slots=True)
class TranscriptParts:
    """What the acts need. `write` keeps an audit event; `here` is this region."""

    keeper: TranscriptKeeper
    bundles: BundleInForce
    glass: GlassBook
    decisions: DecisionLog
    write: Callable[[AuditEvent], Awaitable[None]]
    now_s: Callable[[], float]
    here: str


@dataclass(frozen=True, slots=True)
class Read:
    """What was shown, and under which permission."""

    pieces: tuple[Transcript, ...]
    permission: Permission


@dataclass(frozen=True, slots=True)
class ErasedProject:
    """`why_not` empty: so many pieces are gone."""

    project: str
    pieces: int
    why_not: str = ""


class TranscriptActs:
    """Of one region, as one of its gateways takes them."""

    def __init__(self, parts: TranscriptParts) -> None:
        self._parts = parts

    async def sessions(self, project: str = "") -> list[KeptSession]:
        """What is stored, without words. Raises ActRefused."""
        try:
            kept = await self._parts.keeper.sessions()
        except StoreFailed as failed:
            raise _failed(failed) from None
        return [one for one in kept if not project or one.project == project]

    async def read(self, operator: Operator, session_id: str, *, looks_from: str) -> Read:
        """Words of a session. `looks_from`: the region that the operator is in, as he says. Raises ActRefused."""
        try:
            return await self._read(operator, session_id, looks_from=looks_from)
        except ActRefused as error:
            await self.note_refused(Act.read, error, who=operator.subject, target=session_id)
            raise

    async def _read(self, operator: Operator, session_id: str, *, looks_from: str) -> Read:
        project = next((one.project for one in await self.sessions() if one.session == session_id), None)
        if project is None:
            raise refused(ActReason.unknown_session, "nothing is stored of this session here")
        permission = self._permission_for(operator, project, looks_from)
        decisions = [self._decide(project, region) for region in dict.fromkeys((self._parts.here, looks_from))]
        decision = next((one for one in decisions if not one.is_allowed), decisions[0])
        is_written = await self._record(operator, session_id, project, decision, permission, looks_from=looks_from)
        if not decision.is_allowed:
            raise refused(ActReason.not_permitted, _why_not(decision))
        if not is_written:
            detail = "the decision log cannot be written, or there is none, and without a record nobody reads"
            raise refused(ActReason.store_away, detail)
        region = self._parts.here
        self._parts.glass.note_used(
            permission.id,
            action=Action.support_access.value,
            region=region,
            session=session_id,
            who=operator.subject,
        )
        await self._write(Act.read, "read", operator.subject, session_id, permission=permission)
        log.error(
            "transcript.read",
            session=session_id,
            who=operator.subject,
            ticket=permission.ticket,
            looks_from=looks_from,
        )
        self._permission_for(operator, project, looks_from)  # it may have been closed while this was written down
        try:
            pieces = await self._parts.keeper.read(session_id)
            return Read(tuple(piece for piece in pieces if piece.session.project == project), permission)
        except StoreFailed as failed:
            raise _failed(failed) from None

    def _permission_for(self, operator: Operator, project: str, looks_from: str) -> Permission:
        """The one that covers where the words are; where he is has to be covered too."""
        here = self._covering(operator, project, self._parts.here)
        if looks_from != self._parts.here:
            self._covering(operator, project, looks_from)
        return here

    def _covering(self, operator: Operator, project: str, region: str) -> Permission:
        found = self._parts.glass.permissions.covering(
            project=project,
            action=Action.support_access.value,
            region=region,
            now_s=self._parts.now_s(),
            person=operator.subject,
        )
        if found is None:
            detail = (
                f"{operator.subject} needs an emergency permission for support_access of {project} in {region}: "
                "`patchbay break-glass open`"
            )
            raise refused(ActReason.needs_break_glass, detail)
        return found

    def _decide(self, project: str, region: str) -> Decision:
        return decide_for_project(
            self._parts.bundles.table, project, Action.support_access, region, has_break_glass=True
        )

    async def erase(self, operator: Operator, project: str, subject_id: str, why: str) -> list[ErasedProject]:
        """A subject's words, in a project or (`ORG/*`) in each of an org's. Raises ActRefused."""
        try:
            projects = await self._projects(project)
            done = [await self._erase(operator, one, subject_id, why) for one in projects]
        except ActRefused as error:
            await self.note_refused(Act.erase, error, who=operator.subject, target=project)
            raise
        return done

    async def _projects(self, project: str) -> list[str]:
        org, _, name = project.partition("/")
        if not org or not name:
            mistake = "project: ORG/PROJECT, or ORG/* for each project of an org"
            raise refused(ActReason.bad_request, mistake, mistakes=(mistake,))
        if name != "*":
            return [project]
        return sorted({one.project for one in await self.sessions() if one.project.startswith(f"{org}/")})

    async def _erase(self, operator: Operator, project: str, subject_id: str, why: str) -> ErasedProject:
        try:
            why_not, pieces = await self._parts.keeper.erase(project, subject_id)
        except StoreFailed as failed:
            raise _failed(failed) from None
        outcome = "erased" if why_not is None else why_not.value
        self._record_erasure(project, outcome, pieces, who=operator.subject)
        if why_not is None:
            await self._write(Act.erase, outcome, operator.subject, project, why=why)
            log.warning("transcript.erased", who=operator.subject, project=project, pieces=pieces)
        else:
            detail = "the words stay while the hold stands" if why_not is NotErased.legal_hold else "policy forbids it"
            await self.note_refused(
                Act.erase, refused(ActReason(why_not.value), detail), who=operator.subject, target=project
            )
        return ErasedProject(project, pieces, "" if why_not is None else why_not.value)

    async def note_refused(self, act: Act, error: ActRefused, *, who: str, target: str = "") -> None:
        """It came to nothing. `who`: as far as a token proved it."""
        await self._parts.write(
            AuditEvent(act=act, outcome=error.reason, is_refused=True, who=who, kind=KIND, target=target)
        )

    # --- what is written down -------------------------------------------------------------------------------

    async def _write(
        self, act: Act, outcome: str, who: str, target: str, *, why: str = "", permission: Permission | None = None
    ) -> None:
        reason = why if permission is None else f"{permission.ticket}: {permission.reason}"
        order_id = "" if permission is None else permission.id
        await self._parts.write(
            AuditEvent(act=act, outcome=outcome, who=who, kind=KIND, target=target, order_id=order_id, why=reason)
        )

    async def _record(
        self,
        operator: Operator,
        session_id: str,
        project: str,
        decision: Decision,
        permission: Permission,
        *,
        looks_from: str,
    ) -> bool:
        """Whether it is on the disk."""
        detail = f"{operator.subject} reads what is stored of it; ticket {permission.ticket}"
        table, here = self._parts.bundles.table, self._parts.here
        record = record_about(table, project, Action.support_access, decision, here=here, detail=detail)
        context = RecordContext(break_glass=permission.id)
        record = msgspec.structs.replace(record, session=session_id, from_region=looks_from, context=context)
        return await asyncio.to_thread(self._parts.decisions.record_now, record, _RECORD_WITHIN_S)

    def _record_erasure(self, project: str, outcome: str, pieces: int, *, who: str) -> None:
        table, here = self._parts.bundles.table, self._parts.here
        decision = decide_for_project(table, project, Action.erase_transcript, here)
        detail = f"{who} asked to erase a subject: {outcome}, {pieces} pieces"
        self._parts.decisions.record(
            record_about(table, project, Action.erase_transcript, decision, here=here, detail=detail)
        )


def _why_not(decision: Decision) -> str:
    if decision.rules:
        return f"support_access is forbidden by {', '.join(decision.rules)}"
    return f"no rule permits support_access here: {'; '.join(decision.errors) or 'not even in an emergency'}"


def _failed(failed: StoreFailed) -> ActRefused:
    return refused(ActReason.store_away, f"the store cannot be used now ({failed.reason}); nothing was done")
