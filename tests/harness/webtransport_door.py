"""A door that lets in whom a test says, and writes down what its sessions hear."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.webtransport.interface import PageAnswer

if TYPE_CHECKING:
    from gateway.webtransport.interface import ConnectRequest, WebTransportSession

Event = tuple[object, ...]


class HeardSession:
    """Implements SessionEvents; `events` in their order, without `sent`."""

    def __init__(self, session: WebTransportSession) -> None:
        self.session = session
        self.events: list[Event] = []
        self.sent_calls = 0

    @property
    def ends(self) -> list[Event]:
        """What was said of its end; a session has one."""
        return [event for event in self.events if event[0] == "closed"]

    def received(self, kind: int, payload: bytes) -> None:
        self.events.append((kind, payload))

    def broken(self, why: str) -> None:
        self.events.append(("broken", why))

    def too_large(self) -> None:
        self.events.append(("too_large",))

    def finished_sending(self) -> None:
        self.events.append(("finished_sending",))

    def datagram(self, payload: bytes) -> None:
        self.events.append(("datagram", payload))

    def sent(self) -> None:
        self.sent_calls += 1

    def closed(self, code: int | None, reason: str) -> None:
        self.events.append(("closed", code, reason))


class RecordingDoor:
    """Implements Door. `status`: for every session; pages wait until `may_answer`."""

    def __init__(self, *, status: int = 200) -> None:
        self.status = status
        self.requests: list[ConnectRequest] = []
        self.sessions: list[HeardSession] = []
        self.answer = PageAnswer(200, (("content-type", "text/html"),), b"<p>page</p>")
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def knock(self, request: ConnectRequest) -> int:
        self.requests.append(request)
        return self.status

    def enter(self, session: WebTransportSession) -> None:
        heard = HeardSession(session)
        session.listen(heard)
        self.sessions.append(heard)

    async def page(self, request: ConnectRequest) -> PageAnswer:
        self.requests.append(request)
        await self.may_answer.wait()
        return self.answer
