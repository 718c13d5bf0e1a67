"""The emergency permissions that one gateway goes by: those of its region's Redis, and its own copy after a restart.

These must stay true:
  - What is known holds until something later is known or its own end: not Redis's absence, nor its loss of data, nor a
    damaged copy opens or closes one.
  - A permission that is over covers nothing, whether or not anybody has taken it off yet.
  - Asking is a look into memory; nothing here waits or raises but `change`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gateway.operations.glass_document import GlassMalformed, newer, read_copy, version_of, write_copy
from gateway.operations.glass_store import GlassStoreAway, OwnGlassStore
from policies.residency.break_glass import MAX_PERMISSIONS, Permission, Permissions, PermissionState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.operations.glass_metrics import GlassMetrics
    from gateway.operations.glass_store import GlassStore
    from policies.residency.decision import Situation

_TRIES = 5
_POLL_S = 0.5
_NOT_KNOWN = "?"
"""No version of a store reads like this."""

log = structlog.get_logger("break_glass")


class GlassConflict(Exception):
    """Others changed the permissions again and again meanwhile; trying again helps."""


class TooManyPermissions(Exception):
    """Those that stand should be closed first, and end by themselves."""


@dataclass(frozen=True, slots=True)
class Use:
    """Something was done that policy permitted as an emergency. `session`: empty where it is about none."""

    permission: Permission
    action: str
    region: str
    session: str = ""
    who: str = ""


class GlassBook:
    """One a gateway; its owner runs `run`. What the copy says holds from the start.

    Args:
        store: None: there is no Redis, and this gateway's permissions are its own.
        copy_file: None: what is known is lost with this process.
        now_s: Unix seconds; the clock of policy.
    """

    def __init__(
        self,
        store: GlassStore | None,
        copy_file: Path | None,
        metrics: GlassMetrics,
        *,
        now_s: Callable[[], float],
    ) -> None:
        self.permissions = Permissions()
        """All that are known; pending, closed and ended ones among them."""
        self.is_store_away = False
        self.has_store = store is not None
        self.on_used: Callable[[Use], None] = lambda _use: None
        """Told of each use, at once."""
        self._store: GlassStore = OwnGlassStore() if store is None else store
        self._copy_file = copy_file
        self._metrics = metrics
        self.now_s = now_s
        self._version = _NOT_KNOWN
        self._opened: tuple[Permission, ...] = ()
        self._watchers: list[Callable[[], None]] = []
        self._changing = asyncio.Lock()
        self._is_copied = True
        self._read_copy()
        metrics.watch(lambda: len(self.permissions.opened(self.now_s())))
        self._tell_changes()

    # --- what policy asks -----------------------------------------------------------------------------------

    def has_break_glass(self, situation: Situation, action: str, region: str) -> bool:
        """Whether a permission covers it now."""
        return bool(self.covering(situation, action, region))

    def covering(self, situation: Situation, action: str, region: str) -> str:
        """The id of the permission that covers it; empty: none does."""
        if not self.permissions.permissions:
            return ""
        found = self.permissions.covering(
            project=situation.project, action=str(action), region=region, now_s=self.now_s()
        )
        return "" if found is None else found.id

    def note_used(self, permission_id: str, *, action: str, region: str, session: str = "", who: str = "") -> None:
        """Whoever acts on a decision that a permission made possible says so, once."""
        permission = self.permissions.find(permission_id)
        if permission is None:
            return
        use = Use(permission, str(action), region, session, who or permission.person)
        self._metrics.used(use.action)
        log.error(
            "break_glass.used",
            permission=permission.id,
            ticket=permission.ticket,
            who=use.who,
            project=permission.project,
            action=use.action,
            used_region=region,
            session=session,
        )
        self.on_used(use)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Hear when another set of permissions covers something, by an act or by the end of one. It must not raise."""
        self._watchers.append(callback)

    # --- following ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.look()
            await self._write_copy()
            await asyncio.sleep(_POLL_S)

    async def look(self) -> None:
        """See what is there, write what is known where it is missing, and tell what has changed."""
        try:
            seen = await self._store.look(self._version)
            if seen.version != self._version or seen.permissions is not None:
                await self._take(seen.version, seen.permissions)
        except GlassStoreAway as away:
            self._note_store(str(away))
        except GlassMalformed:
            self._note_store("malformed")
        else:
            self._note_store("")
        self._tell_changes()

    async def change(self, edit: Callable[[Permissions], tuple[Permission, ...]]) -> Permissions:
        """Write down what `edit` makes of the newest ones; it may be called again with newer ones.

        Raises:
            GlassStoreAway, GlassMalformed, GlassConflict, TooManyPermissions: nothing was changed, as far as is known.
        """
        async with self._changing:
            for _ in range(_TRIES):
                seen = await self._store.look(_NOT_KNOWN)
                await self._take(seen.version, seen.permissions)
                edited = edit(self.permissions)
                if edited == self.permissions.permissions:
                    return self.permissions
                if len(edited) > MAX_PERMISSIONS:
                    raise TooManyPermissions
                wanted = replace(self.permissions, revision=self.permissions.revision + 1, permissions=edited)
                put = await self._store.change(wanted, known_version=self._version)
                if put.is_written:
                    self._hold(wanted)
                    self._version = put.version
                    self._tell_changes()
                    await self._write_copy()
                    return self.permissions
        raise GlassConflict

    async def _take(self, version: str, permissions: Permissions | None) -> None:
        """`version` is in the store; empty, with no permissions: nothing is."""
        if permissions is not None:
            self._hold(newer(self.permissions, permissions))
        if version == version_of(self.permissions) or (not version and self.permissions == Permissions()):
            self._version = version
            return
        put = await self._store.restore(self.permissions)
        if not put.is_written and put.permissions is not None:
            self._hold(newer(self.permissions, put.permissions))
        self._version = put.version

    def _hold(self, permissions: Permissions) -> None:
        if permissions != self.permissions:
            self.permissions = permissions
            self._is_copied = False

    def _tell_changes(self) -> None:
        """Each gateway of the region tells it: an emergency should be seen wherever somebody looks."""
        opened = self.permissions.opened(self.now_s())
        if opened == self._opened:
            return
        was = {one.id for one in self._opened}
        left = {one.id: one for one in self._opened}
        for one in opened:
            left.pop(one.id, None)
            if one.id not in was:
                log.error(
                    "break_glass.opened",
                    permission=one.id,
                    who=one.person,
                    approver=one.approver,
                    ticket=one.ticket,
                    project=one.project,
                    actions=one.actions,
                    in_regions=one.regions,
                    not_after_s=one.not_after_s,
                )
        for one in left.values():
            known = self.permissions.find(one.id)
            if known is not None and known.state is PermissionState.closed:
                log.error("break_glass.closed", permission=one.id, ticket=one.ticket, project=one.project)
            else:
                log.error("break_glass.expired", permission=one.id, ticket=one.ticket, project=one.project)
        self._opened = opened
        for watcher in self._watchers:
            watcher()

    def _note_store(self, why_away: str) -> None:
        if bool(why_away) != self.is_store_away:
            self.is_store_away = bool(why_away)
            if why_away:
                log.warning("break_glass.store_away", error=why_away)
            else:
                log.info("break_glass.store_back")
        self._metrics.is_store_away.set(int(self.is_store_away))

    # --- the copy -------------------------------------------------------------------------------------------

    def _read_copy(self) -> None:
        if self._copy_file is None:
            return
        try:
            self.permissions = read_copy(self._copy_file)
        except (OSError, GlassMalformed) as error:
            log.error("break_glass.copy_unusable", error=type(error).__name__)

    async def _write_copy(self) -> None:
        if self._copy_file is None or self._is_copied:
            return
        permissions = self.permissions
        with suppress(OSError):
            await asyncio.to_thread(write_copy, self._copy_file, permissions)
            self._is_copied = permissions is self.permissions
