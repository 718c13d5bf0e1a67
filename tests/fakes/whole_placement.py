"""Placement where there is one region and nothing to choose: every session has all of its engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.residency.permitted import Permitted
    from regions.links.interface import EnginePool
    from regions.placing import SessionPlace


class WholePool:
    """A regions.placing.SessionPool. `pool` may serve any number of sessions."""

    def __init__(self, pool: EnginePool, region: str) -> None:
        self._pool = pool
        self._region = region

    def pool(self) -> EnginePool:
        return self._pool

    @property
    def region(self) -> str:
        return self._region

    @property
    def decision(self) -> None:
        """There is nothing to decide."""

    @property
    def regions(self) -> frozenset[str]:
        return frozenset({self._region})

    def permit(self, permitted: Permitted, *, at_once: frozenset[str] = frozenset()) -> None:
        """Nothing to do: who may not be here is not admitted here."""

    def close(self) -> None:
        """Nothing is kept of a session."""


class WholePlacement:
    """The part of a regions.placing.Placement that sessions need."""

    def __init__(self, pool: EnginePool, region: str = "here") -> None:
        self._pool = WholePool(pool, region)

    def session(self, _place: SessionPlace) -> WholePool:
        return self._pool
