"""Certificates of listeners that run: changed files are taken for new handshakes, without a restart.

A pair that cannot be used, such as half of a new one, is refused and told; the one before stays in force.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Never

    from gateway.transports.settings import TlsSettings

log = structlog.get_logger("gateway")

DEFAULT_POLL_MS = 5_000

FileState = tuple[int, int, int] | None


@dataclass(slots=True)
class _Followed:
    listener: str
    take: Callable[[], None]
    files: tuple[Path, Path]
    seen: tuple[FileState, ...] = field(default=())


class ReloadedTls:
    """The certificates of all listeners, each with its files."""

    def __init__(self) -> None:
        self._followed: list[_Followed] = []

    def add(self, listener: str, tls: TlsSettings, take: Callable[[], None]) -> None:
        """A listener that has just loaded these files. `take` loads them again, or raises OSError."""
        files = (tls.certificate_file, tls.key_file)
        self._followed.append(_Followed(listener, take, files, _states(files)))

    def add_context(self, listener: str, tls: TlsSettings, context: ssl.SSLContext) -> None:
        """The same for a context of Python's."""
        self.add(listener, tls, lambda: context.load_cert_chain(tls.certificate_file, tls.key_file, password=""))

    def reload_changed(self) -> list[str]:
        """Read again what changed. Returns the listeners with a new certificate."""
        return [followed.listener for followed in self._followed if _reload(followed)]

    async def run(self, *, poll_ms: int = DEFAULT_POLL_MS) -> Never:
        """Look at the files for ever; a task of its own."""
        while True:
            await asyncio.sleep(poll_ms / 1000)
            self.reload_changed()


def _reload(followed: _Followed) -> bool:
    seen = _states(followed.files)
    if seen == followed.seen:
        return False
    followed.seen = seen
    try:
        # Tried beside: a listener in use must not be left with the certificate of one pair and the key of another.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*followed.files, password="")
        followed.take()
    except OSError as error:  # ssl.SSLError is one
        why = error.reason if isinstance(error, ssl.SSLError) and error.reason else error.strerror or str(error)
        log.warning("tls.certificate_refused", listener=followed.listener, why=why)
        return False
    log.info("tls.certificate_reloaded", listener=followed.listener)
    return True


def _states(files: tuple[Path, Path]) -> tuple[FileState, ...]:
    """Inode, size and time of change of each; None: not there."""
    found: list[FileState] = []
    for file in files:
        try:
            about = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((about.st_ino, about.st_size, about.st_mtime_ns))
    return tuple(found)
