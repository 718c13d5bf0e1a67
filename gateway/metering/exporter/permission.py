"""Whether usage of a project may leave for a receiver: the border to whoever knows the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Permission(Protocol):
    """Nothing here waits or raises."""

    def permits(self, project: str, region: str) -> bool:
        """`project`: `ORG/PROJECT`; `region`: the receiver's."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call it whenever answers may be others than they were."""


class AllPermitted:
    """Where no bundle says anything."""

    def permits(self, project: str, region: str) -> bool:
        return True

    def on_change(self, callback: Callable[[], None]) -> None:
        """They never are."""
