"""The metadata services of three clouds, as they answer: exact paths, headers, payloads and refusals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TOKEN_HEADER = "X-aws-ec2-metadata-token"
_TOKEN_LIFE_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"


class Replay:
    """What all of them share. `broken`: (status, body) that every question gets instead; `asked`: method and path."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.asked: list[tuple[str, str]] = []
        self.broken: tuple[int, bytes] | None = None
        self.answers_after_s = 0.0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        application = web.Application(middlewares=[self._first])
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    def count(self, method: str, path_part: str) -> int:
        return sum(1 for each, path in self.asked if each == method and path_part in path)

    @web.middleware
    async def _first(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        if self.answers_after_s:
            await asyncio.sleep(self.answers_after_s)
        if self.broken is not None:
            status, body = self.broken
            return web.Response(status=status, body=body)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound


class AwsReplay(Replay):
    """IMDSv2. `action` and `rebalance`: bodies; None: 404, as while nothing is pending."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.rebalance: str | None = None
        self.date: str | None = None
        """The Date header, where it is to be another than that of now."""
        self._tokens: set[str] = set()
        self._made = 0

    def expire_tokens(self) -> None:
        self._tokens.clear()

    def interrupt(self, action: str = "terminate", *, in_s: float = 120.0) -> None:
        due = datetime.fromtimestamp(time.time() + in_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.action = json.dumps({"action": action, "time": due})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        headers = {"Server": "EC2ws"} | ({} if self.date is None else {"Date": self.date})
        if path == "/latest/api/token":
            if request.method != "PUT":
                return web.Response(status=405)
            if not 1 <= int(request.headers.get(_TOKEN_LIFE_HEADER, "0")) <= 21_600:
                return web.Response(status=400)
            self._made += 1
            token = f"AQAEA{self._made:06}=="
            self._tokens.add(token)
            return web.Response(text=token, headers=headers)
        if request.method != "GET" or request.headers.get(_TOKEN_HEADER) not in self._tokens:
            return web.Response(status=401)
        bodies = {
            "/latest/meta-data/spot/instance-action": self.action,
            "/latest/meta-data/events/recommendations/rebalance": self.rebalance,
        }
        body = bodies.get(path)
        if body is None:
            return web.Response(status=404, text="<html>404 - Not Found</html>", headers=headers)
        return web.Response(text=body, headers=headers)


class GcpReplay(Replay):
    """Hangs while nothing changes, unless `hangs` is False. `says_flavor`: whether its answers carry the header that
    proves it is Google's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.says_flavor = True
        self.hangs = True
        self.hanging = 0
        self._values = {"preempted": "FALSE", "maintenance-event": "NONE"}
        self._marks = dict.fromkeys(self._values, "a1")
        self._changed = asyncio.Condition()

    async def set(self, key: str, value: str) -> None:
        async with self._changed:
            self._values[key] = value
            self._marks[key] += "f"
            self._changed.notify_all()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in request.headers:
            return web.Response(status=403)
        flavor = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"} if self.says_flavor else {}
        key = request.path.removeprefix("/computeMetadata/v1/instance/")
        if request.method != "GET" or key not in self._values:
            return web.Response(status=404, headers=flavor)
        if self.hangs and request.query.get("wait_for_change") == "true":
            known = request.query.get("last_etag", self._marks[key])
            self.hanging += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(float(request.query.get("timeout_sec", "600"))), self._changed:
                    await self._changed.wait_for(lambda: self._marks[key] != known)
            self.hanging -= 1
        return web.Response(text=self._values[key], headers=flavor | {"ETag": self._marks[key]})


class AzureReplay(Replay):
    """Scheduled events 2020-07-01. `events`: the rows of the document; `started`: what was acknowledged."""

    def __init__(self, machine: str = "engine-vm_0") -> None:
        super().__init__()
        self.machine = machine
        self.events: list[Any] = []
        self.started: list[str] = []
        self._incarnation = 1

    def schedule(self, type_: str = "Preempt", *resources: str, in_s: float | None = 30.0, **more: Any) -> str:
        """An event for `resources`, or for this machine alone; its id."""
        self._incarnation += 1
        due = "" if in_s is None else format_datetime(datetime.fromtimestamp(time.time() + in_s, UTC), usegmt=True)
        event_id = f"602D9444-D2CD-49C7-8624-8643E7171297-{self._incarnation}"
        self.events.append(
            {
                "EventId": event_id,
                "EventType": type_,
                "ResourceType": "VirtualMachine",
                "Resources": list(resources) or [self.machine],
                "EventStatus": "Scheduled",
                "NotBefore": due,
                "Description": "",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
            | more
        )
        return event_id

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Metadata") != "true":
            return web.json_response({"error": "Required metadata header not specified"}, status=400)
        if request.path == "/metadata/instance/compute/name" and request.query.get("format") == "text":
            return web.Response(text=self.machine)
        if request.path != "/metadata/scheduledevents" or request.query.get("api-version") != "2020-07-01":
            return web.json_response({"error": "Bad request"}, status=400)
        if request.method == "POST":
            body = await request.json()
            self.started += [row["EventId"] for row in body["StartRequests"]]
            return web.Response()
        return web.json_response({"DocumentIncarnation": self._incarnation, "Events": self.events})


class Heard:
    """A listener that writes down what sources say."""

    def __init__(self) -> None:
        self.notices: list[Any] = []
        self.withdrawals: list[tuple[str, str]] = []
        self.troubles: list[tuple[str, str]] = []
        self.returns: list[str] = []

    def noticed(self, notice: Any) -> None:
        self.notices.append(notice)

    def withdrawn(self, source: str, event_id: str) -> None:
        self.withdrawals.append((source, event_id))

    def source_away(self, source: str, error: str) -> None:
        self.troubles.append((source, error))

    def source_back(self, source: str) -> None:
        self.returns.append(source)


@contextlib.asynccontextmanager
async def watched(source: Any) -> AsyncIterator[Heard]:
    """A source that runs, and what it says; it must not end by itself."""
    heard = Heard()
    running = asyncio.create_task(source.run(heard))
    try:
        yield heard
        assert not running.done(), "a source gave up"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await source.aclose()
