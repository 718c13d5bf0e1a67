"""Who may come in at an edge process: everything that the gateway itself decides is left to it, over the hop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.errors import TABLE, Reason
from gateway.transports.websocket import PATH
from gateway.webtransport.hopped_session import HoppedSession
from gateway.webtransport.interface import PageAnswer

if TYPE_CHECKING:
    from gateway.webtransport.edge_metrics import EdgeMetrics
    from gateway.webtransport.hop import Hop
    from gateway.webtransport.hopped_session import SessionRules
    from gateway.webtransport.interface import ConnectRequest, WebTransportSession

log = structlog.get_logger("gateway.webtransport")

_METHODS = ("GET", "HEAD")
"""A plain request's body is not read, so nothing may ask for more."""


@dataclass(frozen=True, slots=True)
class DoorRules:
    """`origins`: of web pages that may open sessions; empty: any. Programs send none."""

    origins: frozenset[str]
    max_sessions: int
    session: SessionRules


class SessionDoor:
    """One a process (Door). Owns the tasks of its sessions."""

    def __init__(self, hop: Hop, rules: DoorRules, metrics: EdgeMetrics) -> None:
        self._hop = hop
        self._rules = rules
        self._metrics = metrics
        self._sessions: dict[asyncio.Task[None], HoppedSession] = {}
        self._is_open = True
        self._is_forsaken = False

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    def knock(self, request: ConnectRequest) -> int:
        status = self._status(request)
        if status != 200:
            self._metrics.sessions_refused.labels(str(status)).inc()
        return status

    def _status(self, request: ConnectRequest) -> int:
        if request.path.partition("?")[0] != PATH:
            return 404
        if self._rules.origins and request.origin and request.origin not in self._rules.origins:
            return 403
        if not self._is_open or self._is_forsaken or len(self._sessions) >= self._rules.max_sessions:
            return 503
        return 200

    def enter(self, session: WebTransportSession) -> None:
        hopped = HoppedSession(session, self._hop, self._rules.session, self._metrics)
        session.listen(hopped)
        task = asyncio.create_task(self._run(hopped, session))
        self._sessions[task] = hopped
        self._metrics.sessions.set(len(self._sessions))
        task.add_done_callback(self._left)

    async def _run(self, hopped: HoppedSession, session: WebTransportSession) -> None:
        try:
            await hopped.run()
        except Exception:  # one session's fault must not end the others
            log.exception("edge.session_failed")
            session.close(TABLE[Reason.internal_error].ws_close, Reason.internal_error.value)

    def _left(self, task: asyncio.Task[None]) -> None:
        del self._sessions[task]
        self._metrics.sessions.set(len(self._sessions))

    async def page(self, request: ConnectRequest) -> PageAnswer:
        if request.method not in _METHODS:
            return PageAnswer(405, (("allow", ", ".join(_METHODS)),), b"")
        return await self._hop.page(request)

    def close(self) -> None:
        """No session comes in from here on; those that are in go on."""
        self._is_open = False

    def forsaken(self) -> None:
        """The gateway answers no more: clients hear `draining`, and go on elsewhere. Nobody comes in until `found`."""
        self._is_forsaken = True
        for hopped in self._sessions.values():
            hopped.gateway_gone()

    def found(self) -> None:
        self._is_forsaken = False

    async def empty(self, timeout_s: float) -> None:
        """End what is left: clients hear `draining`. Returns when all are over, or in time."""
        self.close()
        for hopped in self._sessions.values():
            hopped.gateway_gone()
        if self._sessions:
            _, late = await asyncio.wait([*self._sessions], timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
