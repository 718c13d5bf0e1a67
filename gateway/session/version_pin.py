"""Which model a session's engines must run, so that what is recognised again is recognised by the same weights.

The first grant binds the session to its model for good, and to its version for as long as audio is held that an engine
may have heard. Where nothing is held, everything is final: the next utterance begins anew, on any version that the
client allows. A session that another gateway had before begins bound: its audio may have been heard there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engines.interface import Granted, StreamOptions
    from gateway.session.origin import SessionOrigin


class VersionPin:
    """Begins with what the client wishes; follows the grants."""

    __slots__ = ("_asked", "_is_bound_by_origin", "_wish", "model", "version")

    def __init__(self, wish: StreamOptions, origin: SessionOrigin) -> None:
        self._wish = wish
        self._asked = wish
        self._is_bound_by_origin = bool(origin.model)
        if self._is_bound_by_origin:
            self._asked = msgspec.structs.replace(wish, model=origin.model, model_version=origin.model_version)
        self.model = ""
        self.version = ""
        """Of the engine that granted last; empty before the first grant."""

    def options(self, *, held_samples: int) -> StreamOptions:
        """What the next engine is to be asked for. Without held audio the version is the client's own wish again."""
        if held_samples == 0 and not self._is_bound_by_origin and self._asked.model_version != self._wish.model_version:
            self._asked = msgspec.structs.replace(self._asked, model_version=self._wish.model_version)
        return self._asked

    def admits(self, event: Granted) -> bool:
        """Whether the engine grants what it was asked for; one of an older release does not know versions."""
        asked = self._asked
        return asked.model in ("", event.model) and asked.model_version in ("", event.model_version)

    def standby_options(self, *, held_samples: int) -> StreamOptions:
        """The same for an engine that is asked while another one works; the pin stays as it is."""
        if held_samples or self._asked.model_version == self._wish.model_version:
            return self._asked
        return msgspec.structs.replace(self._asked, model_version=self._wish.model_version)

    def admits_standby(self, event: Granted, *, has_heard: bool) -> bool:
        """Whether it may take over. `has_heard`: some of the audio that it is to get was sent to the one that works."""
        version = self.version if has_heard else self._wish.model_version
        return event.model == self.model and version in ("", event.model_version)

    def granted(self, event: Granted) -> None:
        self._is_bound_by_origin = False
        self.model = event.model
        self.version = event.model_version
        self._asked = msgspec.structs.replace(self._wish, model=event.model, model_version=event.model_version)
