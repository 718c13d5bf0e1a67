"""A notice by hand: `POST /preempt` on an address of this machine. For clouds without a metadata service, and drills.

Whoever reaches the address can empty the engine, as through the engine's own address. The body must be called JSON,
which keeps web pages in a browser of this machine away from it.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import TYPE_CHECKING

from aiohttp import web

from policies.preemption import Confidence, MachineAction, NoticeKind, PreemptionNotice

if TYPE_CHECKING:
    from engines.preemption.interface import NoticeListener

NAME = "http"
MAX_LEAD_S = 86_400
_MAX_BODY_BYTES = 4_096
_KINDS = (NoticeKind.interruption, NoticeKind.rebalance, NoticeKind.maintenance, NoticeKind.operator)


class BadNotice(Exception):
    """What was posted is no notice; the text says what was expected."""


class TriggerSource:
    """Listens on `host`:`port`; port 0 takes any, which `port` then is."""

    name = NAME

    def __init__(self, *, host: str, port: int) -> None:
        self._host = host
        self.port = port
        self._listener: NoticeListener | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Raises OSError: the address cannot be listened on."""
        application = web.Application(client_max_size=_MAX_BODY_BYTES)
        application.router.add_post("/preempt", self._preempt)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def run(self, listener: NoticeListener) -> None:
        self._listener = listener
        listener.source_back(NAME)
        await asyncio.Event().wait()

    async def release(self, event_ids: frozenset[str]) -> None:
        """Nobody waits for it."""

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _preempt(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return _mistake("Content-Type must be application/json", status=415)
        try:
            notice = read_notice(await request.text())
        except BadNotice as mistake:
            return _mistake(str(mistake), status=400)
        except (UnicodeDecodeError, LookupError):
            return _mistake("the body is no text", status=400)
        if self._listener is None:
            return _mistake("the engine is not ready yet", status=503)
        self._listener.noticed(notice)
        return web.json_response({"event": notice.event_id}, status=202)


def read_notice(text: str) -> PreemptionNotice:
    """Of `{"lead_s": 30, "kind": "interruption", "action": "terminate", "is_proven": false}`; each may be left out.

    Raises:
        BadNotice: it is anything else.
    """
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise BadNotice("the body is no JSON") from None
    if not isinstance(told, dict) or not told.keys() <= {"lead_s", "kind", "action", "is_proven"}:
        raise BadNotice("the body may hold lead_s, kind, action and is_proven, nothing else")
    lead_s = told.get("lead_s")
    if lead_s is not None and (isinstance(lead_s, bool) or not isinstance(lead_s, int | float)):
        raise BadNotice("lead_s must be a number")
    if lead_s is not None and not 0 <= lead_s <= MAX_LEAD_S:
        raise BadNotice(f"lead_s must be 0 to {MAX_LEAD_S}")
    is_proven = told.get("is_proven", False)
    if not isinstance(is_proven, bool):
        raise BadNotice("is_proven must be true or false")
    kinds = {kind.value: kind for kind in _KINDS}
    kind, action = told.get("kind", NoticeKind.interruption.value), told.get("action", MachineAction.terminate.value)
    if not isinstance(kind, str) or kind not in kinds:
        raise BadNotice(f"kind must be one of {', '.join(kinds)}")
    if not isinstance(action, str) or action not in {each.value for each in MachineAction}:
        raise BadNotice(f"action must be one of {', '.join(MachineAction)}")
    return PreemptionNotice(
        source=NAME,
        event_id=uuid.uuid4().hex[:12],
        kind=kinds[kind],
        action=MachineAction(action),
        told_at_ms=int(time.monotonic() * 1_000),
        lead_ms=None if lead_s is None else int(lead_s * 1_000),
        confidence=Confidence.proven if is_proven and lead_s is not None else Confidence.unproven,
    )


def _mistake(text: str, *, status: int) -> web.Response:
    return web.json_response({"error": text}, status=status)
