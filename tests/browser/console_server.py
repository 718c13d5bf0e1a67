"""The console's files on a server of a thread of its own, beside handlers that a test adds."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.console.pages import ConsolePages
from gateway.session_settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

_UP_S = 10.0


@contextlib.contextmanager
def console_served(
    handlers: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] | None = None,
) -> Iterator[str]:
    """Its address, as `http://127.0.0.1:PORT`. Selenium waits in the test's own thread, so the server cannot."""
    ports: list[int] = []
    is_up = threading.Event()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        ConsolePages("local", SessionSettings(), webtransport=lambda: None, gateways=lambda: ()).add_to(app)
        for path, handler in (handlers or {}).items():
            app.router.add_get(path, handler)
        runner = web.AppRunner(app, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports.append(runner.addresses[0][1])
        is_up.set()
        return runner

    def serve() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    if not is_up.wait(_UP_S):
        raise RuntimeError("the server of the console did not start")
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_UP_S)
