"""Where the gateways of a region share its emergency permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.operations.glass_document import version_of

if TYPE_CHECKING:
    from policies.residency.break_glass import Permissions


class GlassStoreAway(Exception):
    """No answer, or none that could be used; a change may have been written all the same. The text says why."""


class Seen(NamedTuple):
    """`permissions`: what is there; None: what the caller knows, or nothing at all (`version` is empty)."""

    is_written: bool
    version: str
    permissions: Permissions | None


class GlassStore(Protocol):
    """Each method raises GlassStoreAway, and GlassMalformed where what is there cannot be read."""

    async def look(self, known_version: str) -> Seen: ...

    async def change(self, permissions: Permissions, *, known_version: str) -> Seen:
        """Put these there, where that version is."""

    async def restore(self, permissions: Permissions) -> Seen:
        """Put these there, unless what is there is as late."""


class OwnGlassStore:
    """Of a gateway that has no Redis, and so no gateways beside it."""

    def __init__(self) -> None:
        self._held: Permissions | None = None

    async def look(self, known_version: str) -> Seen:
        version = self._version()
        return Seen(is_written=False, version=version, permissions=None if version == known_version else self._held)

    async def change(self, permissions: Permissions, *, known_version: str) -> Seen:
        if self._version() != known_version:
            return await self.look(known_version)
        return await self.restore(permissions)

    async def restore(self, permissions: Permissions) -> Seen:
        self._held = permissions
        return Seen(is_written=True, version=self._version(), permissions=None)

    def _version(self) -> str:
        return "" if self._held is None else version_of(self._held)
