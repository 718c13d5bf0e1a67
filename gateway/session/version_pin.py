"""Which model a session's engines must run, so that what is recognised again is recognised by the same weights.

The first grant binds the session to its model for good, and to its version for as long as audio is held that an engine
may have heard. Where nothing is held, everything is final: the next utterance begins anew, on any version that the
client allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engines.interface import Granted, StreamOptions


class VersionPin:
    """Begins with what the client wishes; follows the grants."""

    __slots__ = ("_asked", "_wish", "version")

    def __init__(self, wish: StreamOptions) -> None:
        self._wish = wish
        self._asked = wish
        self.version = ""
        """Of the engine that granted last; empty before the first grant."""

    def options(self, *, held_samples: int) -> StreamOptions:
        """What the next engine is to be asked for. Without held audio the version is the client's own wish again."""
        if held_samples == 0 and self._asked.model_version != self._wish.model_version:
            self._asked = msgspec.structs.replace(self._asked, model_version=self._wish.model_version)
        return self._asked

    def admits(self, event: Granted) -> bool:
        """Whether the engine grants what it was asked for; one of an older release does not know versions."""
        asked = self._asked
        return asked.model in ("", event.model) and asked.model_version in ("", event.model_version)

    def granted(self, event: Granted) -> None:
        self.version = event.model_version
        self._asked = msgspec.structs.replace(self._wish, model=event.model, model_version=event.model_version)
