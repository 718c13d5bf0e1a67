"""How operators' requests are read and their refusals written: bounded in size and time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.operations.bodies import MAX_BODY_BYTES
from gateway.operations.refusals import ActReason, ActRefused, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_BODY_WITHIN_S = 5.0


def told(
    handler: Callable[[web.Request], Coroutine[Any, Any, web.Response]],
) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    """Refusals as JSON."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ActRefused as error:
            headers = {"WWW-Authenticate": "Bearer"} if error.status == web.HTTPUnauthorized.status_code else None
            return web.json_response(error.as_json(), status=error.status, headers=headers)

    return handle


async def body_of(request: web.Request) -> bytes:
    """Raises ActRefused."""
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            async for piece in request.content.iter_any():
                raw += piece
                if len(raw) > MAX_BODY_BYTES:
                    raise refused(ActReason.body_too_large, f"at most {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        mistake = f"the body did not come within {_BODY_WITHIN_S:g} s"
        raise refused(ActReason.bad_request, mistake, mistakes=(mistake,)) from None
    return bytes(raw)
