"""The gateway's private door for its own WebTransport edge processes: the native protocol over a Unix socket.

Each session of an edge process is one WebSocket here, so that admission, limits and residency are those of every other
transport. Only here the client's address is taken from a header: whoever can open the socket is this gateway's own
process, because the socket lies in a folder that only its user may enter.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.transports import websocket
from gateway.transports.websocket import WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp.typedefs import Handler

    from gateway.reception import Reception

PEER_HEADER = "Patchbay-Peer-Address"
"""The IP address of the edge's client. Edge processes drop what clients send by that name."""
TRANSPORT = "webtransport"
_MAX_PATH_BYTES = 107
"""sockaddr_un holds 108, the last of them zero; see unix(7)."""
_SOCKET_NAME = "hop.sock"
_SHORT_FOLDER = "/tmp"  # the folder in it is made private


def hop_application(reception: Reception) -> web.Application:
    """With `/v1/stream` alone; pages are for whoever composes it to add."""
    app = web.Application(middlewares=[_as_the_client_asked])
    transport = WebSocketTransport(reception, transport=TRANSPORT, refuses_inside=True)
    app.router.add_get(websocket.PATH, transport.handle)
    return app


@web.middleware
async def _as_the_client_asked(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The edge's client stands where the edge process does: its address, and HTTPS."""
    return await handler(request.clone(remote=request.headers.get(PEER_HEADER, ""), scheme="https"))


@contextlib.contextmanager
def hop_path() -> Iterator[Path]:
    """Where the socket may be made: in a new folder that only this user may enter, and that is gone afterwards.

    Raises:
        OSError: no folder can be made.
    """
    with tempfile.TemporaryDirectory(prefix="patchbay-", dir=_folder()) as folder:
        yield Path(folder) / _SOCKET_NAME


def _folder() -> str:
    """Of temporary files, unless its name is too long for the address of a socket."""
    folder = tempfile.gettempdir()
    longest = Path(folder) / "patchbay-12345678" / _SOCKET_NAME
    return folder if len(os.fsencode(longest)) <= _MAX_PATH_BYTES else _SHORT_FOLDER


@contextlib.asynccontextmanager
async def hop_listening(app: web.Application, path: Path) -> AsyncIterator[None]:
    """Raises OSError: the socket cannot be made."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.UnixSite(runner, path).start()
        os.chmod(path, 0o600)
        yield
    finally:
        await runner.cleanup()
