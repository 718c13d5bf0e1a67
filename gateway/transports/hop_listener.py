"""The gateway's private door for its own WebTransport edge processes: the native protocol over a Unix socket.

Each session of an edge process is one WebSocket here, so that admission, limits and residency are those of every other
transport. Only here the client's address is taken from a header: whoever can open the socket is this gateway's own
process, because the socket lies in a folder that only its user may enter.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
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
_FOLDER_PREFIX = "patchbay-hop-"
_BACKLOG = 4_096
"""A Unix socket refuses at once whoever comes when so many wait, and many come together after a gateway was away."""


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
    """Where the socket may be made: in a new folder that only this user may enter, and that is gone afterwards. Folders
    of gateways that were killed go, too.

    Raises:
        OSError: no folder can be made.
    """
    parent = _parent_folder()
    _remove_abandoned(parent)
    folder, lock_fd = _claimed_folder(parent)
    try:
        yield folder / _SOCKET_NAME
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock_fd)


def _parent_folder() -> Path:
    """Of temporary files, unless its name is too long for the address of a socket."""
    folder = tempfile.gettempdir()
    longest = Path(folder) / f"{_FOLDER_PREFIX}12345678" / _SOCKET_NAME
    return Path(folder if len(os.fsencode(longest)) <= _MAX_PATH_BYTES else _SHORT_FOLDER)


def _claimed_folder(parent: Path) -> tuple[Path, int]:
    """A new one, and a descriptor whose lock says that its gateway lives: the kernel gives it up with the process."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
        # Before it is locked, another gateway may take it for an abandoned one.
        with contextlib.suppress(FileNotFoundError):
            lock_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock_fd, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock_fd
            os.close(lock_fd)


def _remove_abandoned(parent: Path) -> None:
    """Those of this user whose gateway is gone."""
    for folder in parent.glob(f"{_FOLDER_PREFIX}*"):
        try:
            lock_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's, or gone by now
        try:
            if os.fstat(lock_fd).st_uid == os.getuid():
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # its gateway lives
        finally:
            os.close(lock_fd)


@contextlib.asynccontextmanager
async def hop_listening(app: web.Application, path: Path) -> AsyncIterator[None]:
    """Raises OSError: the socket cannot be made."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.UnixSite(runner, path, backlog=_BACKLOG).start()
        os.chmod(path, 0o600)
        yield
    finally:
        await runner.cleanup()
