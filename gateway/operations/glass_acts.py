"""What operators do with emergency permissions: ask for, confirm and close them, each written down in every log.

These must stay true:
  - Nothing is covered before a second person agreed; the one who asked is not that person.
  - Every act, done or refused, and every end is an audit event and a decision record.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gateway.operations.audit_event import Act, AuditEvent
from gateway.operations.glass_book import GlassConflict, TooManyPermissions
from gateway.operations.glass_document import GlassMalformed
from gateway.operations.glass_store import GlassStoreAway
from gateway.operations.refusals import ActReason, ActRefused, refused
from policies.residency.break_glass import Permission, Permissions, PermissionState
from policies.residency.record import DecisionRecord, Event, RecordContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.decision_log.interface import DecisionLog
    from gateway.operations.glass_bodies import GlassBody
    from gateway.operations.glass_book import GlassBook, Use
    from gateway.operations.operators import Operator

PENDING_S = 900
"""So long a permission waits for its second person."""
KIND = "break_glass"
_ID_BYTES = 6
_EXPIRE_EVERY_S = 5.0
_MAX_WAITING_USES = 1_000

log = structlog.get_logger("break_glass")


@dataclass(frozen=True, slots=True)
class GlassDone:
    """`outcome` as in the audit event."""

    outcome: str
    permission: Permission


class GlassActs:
    """Of one region, as one of its gateways takes them; `run` tells uses and ends.

    Args:
        write: keeps an audit event.
        now_s: Unix seconds; the clock of policy.
    """

    def __init__(
        self,
        book: GlassBook,
        write: Callable[[AuditEvent], Awaitable[None]],
        decisions: DecisionLog,
        *,
        now_s: Callable[[], float],
        max_s: int,
    ) -> None:
        self._book = book
        self._write = write
        self._decisions = decisions
        self._now_s = now_s
        self._max_s = max_s
        self._uses: deque[Use] = deque(maxlen=_MAX_WAITING_USES)
        self._has_uses = asyncio.Event()
        book.on_used = self._used

    def standing(self) -> tuple[Permission, ...]:
        """Those that are not over."""
        return tuple(one for one in self._book.permissions.permissions if not self.is_over(one))

    def is_over(self, permission: Permission) -> bool:
        """At its own end; or it waited too long for its second person."""
        now_s = self._now_s()
        waited = permission.state is PermissionState.pending and now_s >= permission.given_at_s + PENDING_S
        return waited or permission.is_over(now_s)

    async def ask(self, operator: Operator, body: GlassBody) -> GlassDone:
        """Raises ActRefused."""
        seconds = body.minutes * 60
        if seconds > self._max_s:
            mistake = f"minutes: at most {self._max_s // 60}, as operations.break_glass.max_minutes says"
            error = refused(ActReason.bad_request, mistake, mistakes=(mistake,))
            await self.note_refused(Act.give, error, who=operator.subject)
            raise error
        now_s = int(self._now_s())
        made = Permission(
            id=secrets.token_hex(_ID_BYTES),
            person=operator.subject,
            ticket=body.ticket,
            reason=body.reason,
            actions=tuple(dict.fromkeys(body.actions)),
            project=body.project,
            regions=tuple(dict.fromkeys(body.regions)),
            given_at_s=now_s,
            not_after_s=now_s + seconds,
        )

        def edit(permissions: Permissions) -> tuple[Permission, ...]:
            return (*self._left(permissions), made)

        await self._change(edit, Act.give, operator, made)
        log.error(
            "break_glass.asked",
            permission=made.id,
            who=made.person,
            ticket=made.ticket,
            project=made.project,
            actions=made.actions,
            in_regions=made.regions,
        )
        return await self._done("pending", Act.give, operator.subject, None, made)

    async def confirm(self, operator: Operator, permission_id: str) -> GlassDone:
        """Its time begins here. Raises ActRefused."""
        now_s = int(self._now_s())

        def move(known: Permission) -> Permission:
            if known.state is not PermissionState.pending:
                return known
            if known.person == operator.subject:
                raise refused(
                    ActReason.same_person, f"{operator.subject} asked for it, so somebody else has to confirm it"
                )
            ends_s = now_s + known.not_after_s - known.given_at_s
            return replace(known, state=PermissionState.open, approver=operator.subject, not_after_s=ends_s)

        return await self._move(operator, permission_id, Act.confirm, move, "opened")

    async def close(self, operator: Operator, permission_id: str) -> GlassDone:
        """Raises ActRefused."""
        return await self._move(
            operator,
            permission_id,
            Act.withdraw,
            lambda known: replace(known, state=PermissionState.closed),
            "closed",
        )

    async def note_refused(
        self, act: Act, error: ActRefused, *, who: str, permission: Permission | None = None
    ) -> None:
        """It came to nothing. `who`: as far as a token proved it."""
        await self._write(
            AuditEvent(
                act=act,
                outcome=error.reason,
                is_refused=True,
                who=who,
                kind=KIND,
                target="" if permission is None else permission.project,
                order_id="" if permission is None else permission.id,
            )
        )

    async def expire(self) -> int:
        """Take off what is over; gives how many. Raises ActRefused: not now."""
        over = [one for one in self._book.permissions.permissions if self.is_over(one)]
        if not over:
            return 0
        taken: list[Permission] = []

        def edit(permissions: Permissions) -> tuple[Permission, ...]:
            taken[:] = [one for one in permissions.permissions if self.is_over(one)]
            return self._left(permissions)

        await self._change(edit, Act.expire, None, None)
        for one in taken:
            if one.state is not PermissionState.closed:
                await self._done("expired", Act.expire, "", one, None)
        return len(taken)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_telling_uses())
            tasks.create_task(self._keep_expiring())

    # --- parts ----------------------------------------------------------------------------------------------

    def _left(self, permissions: Permissions) -> tuple[Permission, ...]:
        return tuple(one for one in permissions.permissions if not self.is_over(one))

    async def _move(
        self,
        operator: Operator,
        permission_id: str,
        act: Act,
        move: Callable[[Permission], Permission],
        outcome: str,
    ) -> GlassDone:
        seen: list[Permission] = []

        def edit(permissions: Permissions) -> tuple[Permission, ...]:
            standing = self._left(permissions)
            known = next((one for one in standing if one.id == permission_id), None)
            if known is None:
                detail = "no emergency permission of this id stands; `GET /v1/break-glass` lists those that do"
                raise refused(ActReason.unknown_permission, detail)
            seen[:] = [known]
            seen.append(move(known))
            return tuple(seen[1] if one is known else one for one in standing)

        await self._change(edit, act, operator, None, seen)
        before, after = seen
        if before == after:
            return GlassDone("already", after)
        return await self._done(outcome, act, operator.subject, before, after)

    async def _change(
        self,
        edit: Callable[[Permissions], tuple[Permission, ...]],
        act: Act,
        operator: Operator | None,
        about: Permission | None,
        seen: list[Permission] | None = None,
    ) -> None:
        try:
            await self._changed(edit)
        except ActRefused as error:
            if operator is not None:  # nobody asked for an expiry, and it is tried again soon
                about = seen[0] if seen else about
                await self.note_refused(act, error, who=operator.subject, permission=about)
            raise

    async def _changed(self, edit: Callable[[Permissions], tuple[Permission, ...]]) -> None:
        try:
            await self._book.change(edit)
        except GlassConflict:
            detail = "others are changing the permissions at the same time; look again, then try again"
            raise refused(ActReason.conflict, detail) from None
        except TooManyPermissions:
            detail = "the region has as many emergency permissions as gateways read; close those that are not needed"
            raise refused(ActReason.too_many_permissions, detail) from None
        except GlassStoreAway:
            detail = (
                "the region's Redis does not answer; what is open stays so until its end. Look before you try again: "
                "if only the answer was lost, it is done"
            )
            raise refused(ActReason.store_away, detail) from None
        except GlassMalformed:
            detail = "what Redis holds cannot be read by this release; what is open here stays so until its end"
            raise refused(ActReason.store_away, detail) from None

    async def _done(
        self, outcome: str, act: Act, who: str, before: Permission | None, after: Permission | None
    ) -> GlassDone:
        permission = after or before
        if permission is None:
            raise ValueError("an act is about a permission")
        self._decisions.record(record_of(permission, outcome, who=who))
        await self._write(
            AuditEvent(
                act=act,
                outcome=outcome,
                who=who,
                kind=KIND,
                target=permission.project,
                order_id=permission.id,
                why=f"{permission.ticket}: {permission.reason}",
                before=in_words(before),
                after=in_words(after),
            )
        )
        return GlassDone(outcome, permission)

    def _used(self, use: Use) -> None:
        self._decisions.record(
            record_of(use.permission, "used", who=use.who, action=use.action, region=use.region, session=use.session)
        )
        self._uses.append(use)
        self._has_uses.set()

    async def _keep_telling_uses(self) -> None:
        """Uses like one another that wait together are one audit event: a busy region must not push out the others."""
        while True:
            await self._has_uses.wait()
            self._has_uses.clear()
            told: dict[tuple[str, str, str, str], list[Use]] = {}
            while self._uses:
                use = self._uses.popleft()
                told.setdefault((use.permission.id, use.action, use.region, use.who), []).append(use)
            for uses in told.values():
                await self._write_used(uses)
            await asyncio.sleep(1.0)

    async def _write_used(self, uses: list[Use]) -> None:
        use = uses[0]
        session = f" session {use.session}" if use.session else ""
        await self._write(
            AuditEvent(
                act=Act.use,
                outcome="used",
                who=use.who,
                kind=KIND,
                target=use.permission.project,
                order_id=use.permission.id,
                why=f"{use.permission.ticket}: {use.permission.reason}",
                after=f"{use.action} {use.region}{session}",
                times=len(uses),
            )
        )

    async def _keep_expiring(self) -> None:
        while True:
            try:
                await self.expire()
            except ActRefused as error:
                log.warning("break_glass.expiry_delayed", reason=error.reason)
            await asyncio.sleep(_EXPIRE_EVERY_S)


def record_of(
    permission: Permission, outcome: str, *, who: str, action: str = "", region: str = "", session: str = ""
) -> DecisionRecord:
    """What stands in the decision log of it."""
    org, _, project = permission.project.partition("/")
    return DecisionRecord(
        event=Event.break_glass,
        session=session,
        org=org,
        project=project,
        action=f"{outcome} {action}".strip(),
        candidate_regions=tuple(sorted(permission.regions)),
        chosen=region,
        context=RecordContext(break_glass=permission.id),
        detail=(
            f"{outcome} by {who or 'nobody'}: {in_words(permission)}; ticket {permission.ticket}; "
            f"asked for by {permission.person}, confirmed by {permission.approver or 'nobody'}; {permission.reason}"
        ),
    )


def in_words(permission: Permission | None) -> str:
    """Such as `open support_access in eu-1 until 1790000000`; empty where there is none."""
    if permission is None:
        return ""
    return (
        f"{permission.state.value} {' '.join(permission.actions)} in {' '.join(permission.regions)} "
        f"until {permission.not_after_s}"
    )
