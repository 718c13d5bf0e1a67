"""Plain requests over HTTP/3: browsers send them here because the HTTP listener says so in `Alt-Svc`.

Only GET and HEAD; what a request carries beyond its head is not read. An answer counts as in flight
until the client has acknowledged all of it, so a client that does not read holds `max_pages_in_flight` at most, and not
longer than `page_wait_ms`.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from aioquic.h3.connection import ErrorCode

from gateway.webtransport.interface import PageAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.webtransport.http3.connection import Http3Connection
    from gateway.webtransport.http3.rules import Http3Rules
    from gateway.webtransport.interface import ConnectRequest, Door, QuicPeer

METHODS = ("GET", "HEAD")

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)
"""RFC 9114 §4.2; the length is written anew."""
_WITHOUT_BODY = frozenset({204, 304})


def plain_answer(status: int, *headers: tuple[str, str]) -> PageAnswer:
    """A status with its name for a person."""
    text = f"{status} {HTTPStatus(status).phrase}\n".encode()
    return PageAnswer(status, (("content-type", "text/plain; charset=utf-8"), *headers), text)


class _Page:
    """One request: the task that asks for its answer, then the answer on its way."""

    __slots__ = ("deadline", "is_sent", "task")

    def __init__(self, deadline: asyncio.TimerHandle) -> None:
        self.task: asyncio.Task[None] | None = None
        self.deadline = deadline
        self.is_sent = False


class Pages:
    """Those of one connection."""

    def __init__(
        self, peer: QuicPeer, http3: Http3Connection, door: Door, rules: Http3Rules, ended: Callable[[], None]
    ) -> None:
        self._peer = peer
        self._http3 = http3
        self._door = door
        self._rules = rules
        self._ended = ended
        self._pages: dict[int, _Page] = {}

    @property
    def in_flight(self) -> int:
        return len(self._pages)

    def asked(self, stream_id: int, request: ConnectRequest) -> None:
        """A request's head came; its body is not read."""
        if request.method not in METHODS:
            self.refuse(stream_id, 405, ("allow", ", ".join(METHODS)))
            return
        if len(self._pages) >= self._rules.max_pages_in_flight:
            self.refuse(stream_id, 503, ("retry-after", "1"))
            return
        loop = asyncio.get_running_loop()
        page = self._pages[stream_id] = _Page(
            loop.call_later(self._rules.page_wait_ms / 1_000, self._too_late, stream_id)
        )
        page.task = loop.create_task(self._answer(stream_id, request))

    def refuse(self, stream_id: int, status: int, *headers: tuple[str, str]) -> None:
        """Say no at once."""
        self._send(stream_id, plain_answer(status, *headers), with_body=True)

    def cancelled(self, stream_id: int) -> None:
        """The client no longer wants it."""
        if stream_id in self._pages:
            self._http3.abort_writing(stream_id, ErrorCode.H3_REQUEST_CANCELLED)
            self._forget(stream_id)

    def acknowledged(self) -> None:
        """Some of what was sent may have arrived."""
        for stream_id, page in tuple(self._pages.items()):
            if page.is_sent and not self._peer.unsent_bytes(stream_id):
                self._forget(stream_id)

    def close(self) -> None:
        """The connection is gone."""
        for stream_id in tuple(self._pages):
            self._forget(stream_id)

    async def _answer(self, stream_id: int, request: ConnectRequest) -> None:
        answer = await self._door.page(request)
        if len(answer.body) > self._rules.max_page_bytes or not 200 <= answer.status <= 599:
            answer = plain_answer(502)
        page = self._pages.get(stream_id)
        if page is None:
            return
        page.is_sent = True
        page.task = None
        if not self._send(stream_id, answer, with_body=request.method != "HEAD"):
            self._forget(stream_id)

    def _send(self, stream_id: int, answer: PageAnswer, *, with_body: bool) -> bool:
        headers = [(name.lower(), value) for name, value in answer.headers if name.lower() not in _HOP_BY_HOP]
        body = answer.body if with_body and answer.status not in _WITHOUT_BODY else b""
        if with_body and answer.status not in _WITHOUT_BODY:
            headers.append(("content-length", str(len(body))))
        is_sent = self._http3.answer(stream_id, answer.status, headers, end=not body)
        if is_sent and body:
            is_sent = self._http3.body(stream_id, body, end=True)
        self._peer.send_soon()
        return is_sent

    def _too_late(self, stream_id: int) -> None:
        page = self._pages.get(stream_id)
        if page is None:
            return
        if page.is_sent:
            self._http3.abort_writing(stream_id, ErrorCode.H3_REQUEST_CANCELLED)
        else:
            self.refuse(stream_id, 504)
        self._forget(stream_id)
        self._peer.send_soon()

    def _forget(self, stream_id: int) -> None:
        page = self._pages.pop(stream_id, None)
        if page is None:
            return
        page.deadline.cancel()
        if page.task is not None:
            page.task.cancel()
        self._ended()
