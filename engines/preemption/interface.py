"""What every source of notices looks like to the engine that watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from policies.preemption import PreemptionNotice


class NoticeListener(Protocol):
    """Who is told. Returns at once, never raises."""

    def noticed(self, notice: PreemptionNotice) -> None:
        """Something is going to happen; each event is told once."""

    def withdrawn(self, source: str, event_id: str) -> None:
        """An event that was told will not come, or is over."""

    def source_away(self, source: str, error: str) -> None:
        """The source gives no answer that can be used; told once, until it does again."""

    def source_back(self, source: str) -> None:
        """It answers: for the first time, or again."""


class PreemptionSource(Protocol):
    """One place where notices come from. Its owner runs `run` in a task, then calls `release` and `aclose`."""

    @property
    def name(self) -> str: ...

    async def run(self, listener: NoticeListener) -> None:
        """Watch until cancelled. Nothing that the source answers, or does not, ends this or is taken for a notice."""

    async def release(self, event_ids: frozenset[str]) -> None:
        """The engine left for these events, and nothing of it is left: they may begin before their time. Short; never
        raises.
        """

    async def aclose(self) -> None:
        """Let go of connections."""
