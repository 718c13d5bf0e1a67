"""How long a client may take to read the end of its session, before its connection is cut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class LastWords:
    """Calls `cut` when `timeout_ms` have passed since `begin`, unless `end` came first. Used on the running loop."""

    __slots__ = ("_cut", "_timeout_ms", "_timer")

    def __init__(self, cut: Callable[[], object], timeout_ms: int) -> None:
        self._cut = cut
        self._timeout_ms = timeout_ms
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The session is over: what is queued is the last that the client hears."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._timeout_ms / 1_000, self._cut)

    def end(self) -> None:
        """The client heard it all, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
