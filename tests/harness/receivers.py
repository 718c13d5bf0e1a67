"""Receivers of usage events that behave as their documentation says: generic CloudEvents and OpenMeter.

Stripe is stripe_receiver.py. They live in the loop of the test, on a port that stays over `stop` and `start`.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from tests.harness.faults import Faults
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = "application/cloudevents-batch+json"
SINGLE = "application/cloudevents+json"


class Receiver:
    """An HTTP server with faults. `requests`: those that came in, whatever became of them."""

    def __init__(self, *, seed: int = 0) -> None:
        self.port = free_port()
        self.faults = Faults(seed=seed)
        self.requests = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add_routes(self, app: web.Application) -> None:
        """Each receiver's own."""

    async def handled(self, request: web.Request, answer: web.StreamResponse) -> None:
        """After each request, also one that met a fault."""

    async def start(self) -> Self:
        @web.middleware
        async def with_faults(request: web.Request, handler: Any) -> web.StreamResponse:
            self.requests += 1
            answer = await self.faults.around(request, handler)
            await self.handled(request, answer)
            return answer

        app = web.Application(middlewares=[with_faults], client_max_size=16 * 1_048_576)
        self.add_routes(app)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            self.faults.release()
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()


class CloudEventsReceiver(Receiver):
    """Takes single events and batches, all of a batch or none of it.

    With `deduplicates` a second event with the same (source, id) is answered as the first one was and not counted, as a
    receiver with idempotency does; without, it is counted again, as OpenMeter does by default.
    """

    def __init__(
        self,
        *,
        path: str = "/api/v1/events",
        bearer: str | None = None,
        deduplicates: bool = True,
        max_batch: int = 1_000,
        seed: int = 0,
    ) -> None:
        super().__init__(seed=seed)
        self._path = path
        self._bearer = bearer
        self._deduplicates = deduplicates
        self._max_batch = max_batch
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _event: False
        self.events: dict[str, dict[str, Any]] = {}
        """The first event of each id."""
        self.arrivals: Counter[str] = Counter()
        """How often an id was accepted, counted or not."""
        self.counted: Counter[str] = Counter()
        """How often an id was counted: what a double bill would show."""
        self.compute_us: Counter[str] = Counter()
        """By subject, as counted."""
        self.batches: list[int] = []

    @property
    def endpoint(self) -> str:
        return self.url + self._path

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(self._path, self._ingest)

    async def _ingest(self, request: web.Request) -> web.Response:
        if self._bearer is not None and request.headers.get("Authorization") != f"Bearer {self._bearer}":
            return web.json_response({"title": "unauthorized"}, status=401)
        body = json.loads(await request.read())
        if request.content_type == BATCH and isinstance(body, list):
            events = body
        elif request.content_type == SINGLE and isinstance(body, dict):
            events = [body]
        else:
            return web.json_response({"title": "unsupported media type"}, status=415)
        if len(events) > self._max_batch:
            return web.json_response({"title": "too large"}, status=413)
        if any(not _is_cloud_event(event) or self.refuses(event) for event in events):
            return web.json_response({"title": "bad request"}, status=400)
        self.batches.append(len(events))
        for event in events:
            self._store(event)
        return web.Response(status=204)

    def _store(self, event: dict[str, Any]) -> None:
        event_id = event["id"]
        self.arrivals[event_id] += 1
        if self._deduplicates and event_id in self.events:
            return
        self.events.setdefault(event_id, event)
        self.counted[event_id] += 1
        self.compute_us[event["subject"]] += event["data"]["compute_us"]


def _is_cloud_event(event: Any) -> bool:
    """What CloudEvents 1.0 §Context Attributes requires, and what meters of usage need besides."""
    needed = ("id", "source", "type", "subject", "time")
    return (
        isinstance(event, dict)
        and event.get("specversion") == "1.0"
        and all(isinstance(event.get(name), str) and event[name] for name in needed)
        and isinstance(event.get("data"), dict)
    )
