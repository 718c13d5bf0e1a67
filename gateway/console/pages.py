"""`/console`: a page that speaks the native protocol from a browser, its files, and what it has to know.

The page holds no secret. Its files are the package's; nothing is read from a disk by a name that a client gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import ETag, web

from gateway.console.security import HEADERS, content_security_policy, host_of
from gateway.console.static_files import read_static_files
from gateway.transports import websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.console.static_files import StaticFile
    from gateway.session_settings import SessionSettings

PATH = "/console"
_PAGE = "console.html"
_ANY_HOST = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class WebTransportOffer:
    """Where a page opens WebTransport sessions. `certificate_sha256`: in hexadecimal, of the certificate in use and of
    the next, where browsers cannot know them otherwise; empty where an authority vouches for them.
    """

    url: str
    certificate_sha256: tuple[str, ...] = ()


class ConsolePages:
    """`webtransport` and `gateways` are asked at each request: certificates and catalogs change while we run.
    `gateways`: addresses that `resume_at` and `wrong_region` may name.
    """

    def __init__(
        self,
        region: str,
        sessions: SessionSettings,
        *,
        webtransport: Callable[[], WebTransportOffer | None],
        gateways: Callable[[], Iterable[str]],
    ) -> None:
        self._region = region
        self._sessions = sessions
        self._webtransport = webtransport
        self._gateways = gateways
        self._files = read_static_files()

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(PATH, self._page)
        app.router.add_get(f"{PATH}/", self._moved)
        app.router.add_get(f"{PATH}/settings.json", self._settings)
        app.router.add_get(PATH + "/{name:.+}", self._file)

    async def _page(self, request: web.Request) -> web.Response:
        offer = self._offer(request)
        addresses = [*([] if offer is None else [offer.url]), *self._gateways()]
        policy = content_security_policy(addresses, has_hashes=offer is not None and bool(offer.certificate_sha256))
        return _answer(request, self._files[_PAGE], {**HEADERS, "Content-Security-Policy": policy})

    async def _moved(self, _request: web.Request) -> web.Response:
        # Relative: what stands before us may have a path of its own.
        return web.Response(status=308, headers={**HEADERS, "Location": "../console"})

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.match_info["name"])
        if file is None or file is self._files[_PAGE]:
            return web.json_response({"status": "not found"}, status=404, headers=HEADERS)
        return _answer(request, file, HEADERS)

    async def _settings(self, request: web.Request) -> web.Response:
        told = self._told(self._offer(request))
        return web.json_response(told, headers={**HEADERS, "Cache-Control": "no-store"})

    def _offer(self, request: web.Request) -> WebTransportOffer | None:
        """A gateway that listens on every address of its machine is reached at the one that the page came from."""
        offer = self._webtransport()
        host = host_of(request.host)
        if offer is None or host is None or urlsplit(offer.url).hostname not in _ANY_HOST:
            return offer
        url = urlsplit(offer.url)
        return replace(offer, url=url._replace(netloc=f"{host}:{url.port}").geturl())

    def _told(self, offer: WebTransportOffer | None) -> dict[str, Any]:
        return {
            "region": self._region,
            "websocket": {"path": websocket.PATH},
            "webtransport": None
            if offer is None
            else {"url": offer.url, "certificate_sha256": list(offer.certificate_sha256)},
            "limits": {
                "held_audio_ms": self._sessions.held_audio_ms,
                "idle_timeout_ms": self._sessions.idle_timeout_ms,
                "max_message_bytes": self._sessions.max_message_bytes,
            },
        }


def _answer(request: web.Request, file: StaticFile, headers: dict[str, str]) -> web.Response:
    """With a tag that lets browsers ask whether they have it; they always ask, as names stay when files change."""
    known = request.if_none_match or ()
    status = 304 if any(tag.value in (file.tag, "*") for tag in known) else 200
    answer = web.Response(
        status=status,
        body=file.body if status == 200 else None,
        headers={**headers, "Cache-Control": "no-cache"},
    )
    if status == 200:
        answer.content_type = file.content_type
        answer.charset = "utf-8"
    answer.etag = ETag(file.tag)
    return answer
