"""How long a client waited for its first words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.session.effects import Figure, Measured

if TYPE_CHECKING:
    from gateway.session.effects import Effect


class FirstWords:
    """Measured once a session, from its first audio to the first partial or final with words."""

    __slots__ = ("are_shown", "audio_at_ms")

    def __init__(self) -> None:
        self.audio_at_ms: int | None = None
        self.are_shown = False

    def shown(self, now_ms: int) -> list[Effect]:
        """Words are on their way to the client."""
        if self.are_shown or self.audio_at_ms is None:
            return []
        self.are_shown = True
        return [Measured(Figure.first_partial_elapsed_ms, now_ms - self.audio_at_ms)]
