"""Where key documents are read from: an address or a file. One bounded read; when to read is jwks.py's business."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import aiohttp

from gateway.admission.keys import KeysUnreadable, UnreadableCause

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ETAG_CHARS = 256
_HEADERS = {"Accept": "application/jwk-set+json, application/json;q=0.9, */*;q=0.1", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, and the name of this version of it (empty when it has none)."""

    body: bytes
    version: str


class KeyDocument(Protocol):
    """A document that holds an issuer's keys."""

    async def read(self, known_version: str) -> Document | None:
        """None when `known_version` is still the one. Takes a bounded time and memory.

        Raises:
            KeysUnreadable: whatever went wrong.
        """


class UrlDocument:
    """A document at an address. Redirects are not followed: keys come from where the operator said, or not at all."""

    def __init__(self, url: str, http: aiohttp.ClientSession, *, timeout_ms: int, max_bytes: int) -> None:
        self._url = url
        self._http = http
        self._timeout_ms = timeout_ms
        self._max_bytes = max_bytes

    async def read(self, known_version: str) -> Document | None:
        headers = _HEADERS | ({"If-None-Match": known_version} if known_version else {})
        try:
            async with (
                asyncio.timeout(self._timeout_ms / 1_000),
                self._http.get(self._url, headers=headers, allow_redirects=False) as response,
            ):
                if response.status == 304 and known_version:
                    return None
                return await self._document_in(response)
        except TimeoutError:
            raise KeysUnreadable(UnreadableCause.timeout, f"no answer within {self._timeout_ms} ms") from None
        except (aiohttp.ClientError, OSError) as error:
            raise KeysUnreadable(UnreadableCause.unreachable, type(error).__name__) from error

    async def _document_in(self, response: aiohttp.ClientResponse) -> Document:
        if 300 <= response.status < 400:
            raise KeysUnreadable(UnreadableCause.redirected, f"status {response.status}; give the final address")
        if response.status != 200:
            raise KeysUnreadable(UnreadableCause.bad_status, f"status {response.status}")
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > self._max_bytes:
                raise _too_large(self._max_bytes)
        etag = response.headers.get("ETag", "")
        return Document(bytes(body), etag if len(etag) <= _MAX_ETAG_CHARS else "")


class FileDocument:
    """A document in a regular file, which may be replaced while we run. It has no versions: reading it costs little."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes

    async def read(self, known_version: str) -> Document | None:
        return await asyncio.to_thread(self._read)

    def _read(self) -> Document:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise KeysUnreadable(UnreadableCause.unreachable, "not a regular file")
            with self._path.open("rb") as file:
                body = file.read(self._max_bytes + 1)
        except OSError as error:
            raise KeysUnreadable(UnreadableCause.unreachable, type(error).__name__) from error
        if len(body) > self._max_bytes:
            raise _too_large(self._max_bytes)
        return Document(body, "")


def _too_large(max_bytes: int) -> KeysUnreadable:
    return KeysUnreadable(UnreadableCause.too_large, f"more than {max_bytes} bytes")
