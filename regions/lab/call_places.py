"""Where a caller calls, in which order, and over what. Pure.

A caller that speaks WebTransport knows where the gateways that it was given have it; of others it knows what a gateway
names. Of those it tries one of WebTransport and one of WebSocket in turn, so it stays near while anything comes through
there. Once a session goes on over WebSocket it stays with that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEBSOCKET, WEBTRANSPORT = "ws", "webtransport"


@dataclass(frozen=True, slots=True)
class CallPlace:
    """One address, and what is spoken there."""

    url: str
    protocol: str


@dataclass
class CallPlaces:
    """`gateways`: WebSocket addresses, the first one first. `webtransports`: of those that have it, by them; empty for
    a caller over WebSocket.
    """

    gateways: Sequence[str]
    webtransports: Mapping[str, str] = field(default_factory=dict)
    has_fallen_back: bool = False
    named: Sequence[str] = ()
    """By the session's gateway: where it can go on, over whatever."""
    sent_to: Sequence[str] = ()
    """By a gateway that may not serve it: those that may."""

    def next(self, tries: int) -> CallPlace:
        """Which is tried after so many in vain. Being sent somewhere counts once."""
        if self.sent_to:
            there, self.sent_to = self._of(self.sent_to), ()
            if there:
                return there[0]
        places = self.all()
        return places[tries % len(places)]

    def all(self) -> list[CallPlace]:
        return self._of(self.named) or [place for url in self.gateways for place in self._at(url)]

    def _of(self, named: Sequence[str]) -> list[CallPlace]:
        websockets = [CallPlace(url, WEBSOCKET) for url in named if url.startswith(("ws://", "wss://"))]
        speaks_webtransport = self.webtransports and not self.has_fallen_back
        webtransports = [
            CallPlace(url, WEBTRANSPORT) for url in named if speaks_webtransport and url.startswith("https://")
        ]
        pairs = zip_longest(webtransports, websockets)
        return [place for pair in pairs for place in pair if place is not None]

    def _at(self, url: str) -> list[CallPlace]:
        webtransport = "" if self.has_fallen_back else self.webtransports.get(url, "")
        found = [CallPlace(webtransport, WEBTRANSPORT)] if webtransport else []
        return [*found, CallPlace(url, WEBSOCKET)]
