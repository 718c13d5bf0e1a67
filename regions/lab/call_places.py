"""Where a caller calls, in which order, and over what. Pure.

A caller that speaks WebTransport knows where each gateway has it, as programs are told by whoever runs the regions:
messages name gateways by their WebSockets. At each gateway it tries WebTransport first and WebSocket then, so it stays
where it is while anything comes through there. Once a session goes on over WebSocket it stays with that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """By the session's gateway: where it can go on."""
    sent_to: str = ""
    """By a gateway that may not serve it: one that may."""

    def next(self, tries: int) -> CallPlace:
        """Which is tried after so many in vain. Being sent somewhere counts once."""
        if self.sent_to:
            url, self.sent_to = self.sent_to, ""
            return self._at(url)[0]
        places = self.all()
        return places[tries % len(places)]

    def all(self) -> list[CallPlace]:
        return [place for url in self.named or self.gateways for place in self._at(url)]

    def _at(self, url: str) -> list[CallPlace]:
        webtransport = "" if self.has_fallen_back else self.webtransports.get(url, "")
        found = [CallPlace(webtransport, WEBTRANSPORT)] if webtransport else []
        return [*found, CallPlace(url, WEBSOCKET)]
