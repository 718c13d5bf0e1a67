"""The pool of a session where there is one region and nothing to choose: all of the region's engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regions.links.interface import EnginePool


class WholePool:
    """A regions.placing.SessionPool. `pool` may serve any number of sessions."""

    __slots__ = ("_pool", "_region")

    def __init__(self, pool: EnginePool, region: str) -> None:
        self._pool = pool
        self._region = region

    def pool(self) -> EnginePool:
        return self._pool

    @property
    def region(self) -> str:
        return self._region

    def permit(self, permitted: frozenset[str]) -> None:
        """Nothing to do: who may not be here is not admitted here."""

    def close(self) -> None:
        """Nothing is kept of a session."""
