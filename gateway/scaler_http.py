"""What a region's capacity is, and what autoscalers should keep, over HTTP on the listener for administrators alone.

`GET /v1/capacity`: all of it, for people. `GET /v1/scaler` and `GET /v1/scaler/{pool}`: numbers, as the `metrics-api`
scaler of KEDA reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from regions.capacity.shown import fleet_json, pools_json
from regions.capacity.snapshot import SETTLED_AFTER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from regions.capacity.snapshot import CapacitySnapshot
    from regions.capacity.watch import CapacityWatch

_PARAMETERS = ("without",)


class CapacityQuestionRefused(Exception):
    """A question that cannot be answered; the text says why.

    `status` of HTTP, and a word for the reason.
    """

    def __init__(self, text: str, *, status: int = 400, reason: str = "bad_request") -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class ScalerHttp:
    """`free_slots_of_tier`: of this region, by tier, less what was placed since engines reported."""

    def __init__(self, region: str, watch: CapacityWatch, free_slots_of_tier: Callable[[], Mapping[str, int]]) -> None:
        self._region = region
        self._watch = watch
        self._free_slots_of_tier = free_slots_of_tier

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/capacity", self._capacity)
        app.router.add_get("/v1/scaler", self._scaler)
        app.router.add_get("/v1/scaler/{pool}", self._scaler_of_pool)

    async def _capacity(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(self.capacity(request.query))
        except CapacityQuestionRefused as refused:
            return _refused(refused)

    def capacity(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Raises CapacityQuestionRefused."""
        unknown = sorted(set(query) - set(_PARAMETERS))
        if unknown:
            raise CapacityQuestionRefused(f"unknown: {', '.join(unknown)}; what may be asked: {', '.join(_PARAMETERS)}")
        snapshot, settings = self._watch.now(), self._watch.settings
        without = query.get("without", "")
        pools = {row.pool for capacity in snapshot.fleets for row in capacity.fleet.rows}
        if without and without not in pools:
            raise _unknown_pool(pools)
        return {
            "region": self._region,
            "watched_ms": snapshot.watched_ms,
            "is_settled": snapshot.is_settled,
            "headroom_permille": settings.headroom_permille,
            "tier_headroom_permille": {
                "standard": self._watch.headroom.standard_permille,
                "economy": self._watch.headroom.economy_permille,
            },
            "reserved_floor_slots": settings.reserved_floor_slots,
            "free_slots_of_tier": dict(self._free_slots_of_tier()),
            "fleets": [
                fleet_json(capacity, headroom_permille=settings.headroom_permille, without=without)
                for capacity in snapshot.fleets
            ],
        }

    async def _scaler(self, _request: web.Request) -> web.Response:
        try:
            return web.json_response({"region": self._region, "pools": pools_json(self._settled())})
        except CapacityQuestionRefused as refused:
            return _refused(refused)

    async def _scaler_of_pool(self, request: web.Request) -> web.Response:
        try:
            pools = pools_json(self._settled())
            name = request.match_info["pool"]
            if name not in pools:
                raise _unknown_pool(pools)
            return web.json_response({"region": self._region, **pools[name]})
        except CapacityQuestionRefused as refused:
            return _refused(refused)

    def _settled(self) -> CapacitySnapshot:
        """An autoscaler keeps what it has when it gets no number; with a number it would let engines go.

        Raises CapacityQuestionRefused.
        """
        snapshot = self._watch.now()
        if not snapshot.is_settled and snapshot.watched_ms >= SETTLED_AFTER_MS:
            why = f"{snapshot.silent_engines} engines are listed, and none of them answers"
            raise CapacityQuestionRefused(why, status=503, reason="engines_silent")
        if not snapshot.is_settled:
            why = f"not all engines have reported in the {snapshot.watched_ms} ms since this gateway started"
            raise CapacityQuestionRefused(why, status=503, reason="too_early")
        return snapshot


def _unknown_pool(pools: Iterable[str]) -> CapacityQuestionRefused:
    text = f"no pool of this region has that name; there are: {', '.join(sorted(pools))}"
    return CapacityQuestionRefused(text, status=404, reason="unknown_pool")


def _refused(refused: CapacityQuestionRefused) -> web.Response:
    return web.json_response({"error": {"reason": refused.reason, "detail": str(refused)}}, status=refused.status)
