"""Asks a machine's metadata service over HTTP, never through a proxy, never redirected: the machine itself answers.

aiohttp is loaded only where a source is configured; importing this file is what loads it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BODY_BYTES = 65_536


class SourceAway(Exception):
    """The service did not answer, or with nothing that can be used; the text says what, without addresses."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers`: names in small letters."""

    status: int
    text: str
    headers: Mapping[str, str]


class MetadataClient:
    """`endpoint`: scheme, host and port alone. Used on one event loop; made with the first question."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str],
        json_body: Any = None,
    ) -> Answer:
        """Raises SourceAway: no whole answer came in time, or a larger one than any that is documented."""
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._session.request(
                    method,
                    self._endpoint + path,
                    headers=dict(headers),
                    json=json_body,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None),
                )
                async with response:
                    body = await response.content.read(_MAX_BODY_BYTES + 1)
                    while len(body) <= _MAX_BODY_BYTES and not response.content.at_eof():
                        body += await response.content.read(_MAX_BODY_BYTES + 1 - len(body))
        except TimeoutError:
            raise SourceAway(f"no answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SourceAway(type(error).__name__) from error
        if len(body) > _MAX_BODY_BYTES:
            raise SourceAway(f"an answer of more than {_MAX_BODY_BYTES} bytes")
        return Answer(
            status=response.status,
            text=body.decode("utf-8", errors="replace"),
            headers={name.lower(): value for name, value in response.headers.items()},
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
