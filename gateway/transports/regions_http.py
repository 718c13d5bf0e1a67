"""`GET /v1/regions`: where a client may connect, nearest first. With a token, only where his audio may go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.admission.carriers import token_of_request
from gateway.admission.nearest import distance_km
from gateway.errors import AddressRefused, SessionRefused
from gateway.transports.websocket import http_refusal, lines_of

if TYPE_CHECKING:
    from gateway.admission.addresses import Visit
    from gateway.admission.places import Place, Visitor
    from gateway.reception import Reception
    from regions.catalog import RegionSpec

PATH = "/v1/regions"


class RegionsHttp:
    """Counts against the limits of the client's address as a handshake does."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    async def handle(self, request: web.Request) -> web.Response:
        visitor = self._reception.visitor(request.remote or "", lines_of(request))
        try:
            with self._reception.knock(visitor.address) as visit:
                return await self._answer(request, visitor, visit)
        except AddressRefused as refusal:
            return http_refusal(refusal)

    async def _answer(self, request: web.Request, visitor: Visitor, visit: Visit) -> web.Response:
        try:
            token = token_of_request(
                authorization=request.headers.getall("Authorization", []), query=request.query.items()
            )
            regions = await self._reception.nearest_regions(token, visitor)
        except SessionRefused as refusal:
            visit.turned_away(refusal)
            return http_refusal(refusal)
        here = self._reception.region
        told = {
            "here": here,
            "place": _told_place(visitor.place),
            "regions": [_told_region(spec, visitor.place, here=here) for spec in regions],
        }
        return web.json_response(told, headers={"Cache-Control": "no-store"})


def _told_place(place: Place | None) -> dict[str, str] | None:
    return None if place is None else {"country": place.country, "subdivision": place.subdivision}


def _told_region(spec: RegionSpec, place: Place | None, *, here: str) -> dict[str, Any]:
    distance = distance_km(spec, place)
    return {
        "name": spec.name,
        "is_here": spec.name == here,
        "country": spec.country,
        "gateways": list(spec.gateways),
        "distance_km": None if distance is None else round(distance),
    }
