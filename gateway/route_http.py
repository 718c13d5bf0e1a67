"""Why is a session placed there? Answers from live facts over HTTP, on the listener for administrators alone.

`GET /v1/regions`: what this gateway knows of each region. `GET /v1/route/explain`: what it would decide now for a
caller, with the score of each candidate and the reason why each other region is out.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from engines.interface import StreamOptions
from gateway.admission.places import Place, PlaceSource
from gateway.errors import SessionRefused
from gateway.wire.stated import read_countries, read_data_class
from policies.countries import country_of
from policies.facts import Caller
from policies.plans import Tier
from policies.residency.situation import Stated
from policies.residency.vocabulary import Action
from policies.routing_facts import RuledOut
from regions.catalog import Location
from regions.explained import decision_json, region_json, seen_from
from regions.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.admission.geography import Geography
    from gateway.admission.policy_sets import PolicySet, PolicySets
    from policies.routing_facts import RegionSnapshot, RouteDecision
    from regions.facts import Facts
    from regions.placement import RegionalPlacement

_OF_POLICY = ("project", "subject", "data_class")
"""Asked of a policy bundle; lists of regions do not look at them."""
_PARAMETERS = ("tenant", "profile", "from", "tier", "model", "version", "language", *_OF_POLICY)


class QuestionRefused(Exception):
    """A question that cannot be answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """From where the regions are seen. `place` None: from this gateway."""

    name: str
    place: Place | None = None


class RouteHttp:
    """`geography`: to find where an address is; None: addresses cannot be asked for."""

    def __init__(
        self, facts: Facts, placement: RegionalPlacement, policies: PolicySets, geography: Geography | None = None
    ) -> None:
        self._facts = facts
        self._placement = placement
        self._policies = policies
        self._geography = geography

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/regions", self._regions)
        app.router.add_get("/v1/route/explain", self._explain)

    async def _regions(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "here": self._facts.here,
                "catalog_digest": self._facts.catalog.digest,
                "regions": [region_json(region) for region in self._placement.snapshot.regions],
            }
        )

    async def _explain(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            await self._policies.prepare(_caller(query), _stated(query), None)
            return web.json_response(self.explain(query))
        except QuestionRefused as refused:
            return web.json_response({"error": str(refused)}, status=400)

    def explain(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Raises QuestionRefused."""
        unknown = sorted(set(query) - set(_PARAMETERS))
        if unknown:
            raise QuestionRefused(f"unknown: {', '.join(unknown)}; what may be asked: {', '.join(_PARAMETERS)}")
        tier = _tier(query.get("tier") or Tier.standard.value)
        view = self._viewpoint(query.get("from", ""))
        options = StreamOptions(
            model=query.get("model", ""), model_version=query.get("version", ""), language=query.get("language", "")
        )
        tree: dict[str, Any] = {
            "here": self._facts.here,
            "seen_from": view.name,
            "tenant": query.get("tenant", ""),
            "profile": query.get("profile", ""),
            "tier": tier.value,
            "model": options.model,
            "version": options.model_version,
            "language": options.language,
        }
        tree |= {name: query[name] for name in _OF_POLICY if query.get(name)}
        permitted = self._policies.permitted(_caller(query), _stated(query))
        if isinstance(permitted, SessionRefused):
            refused = {"reason": permitted.reason.value, "detail": permitted.detail}
            return tree | {"permitted": [], "refused": refused, "chosen": None, "candidates": [], "ruled_out": []}
        snapshot = self._seen(view)
        decision = self._placement.explain(permitted.permitted, tier, options, snapshot)
        return tree | self._answer(permitted, tier, view, snapshot, decision)

    def _answer(
        self, permitted: PolicySet, tier: Tier, view: Viewpoint, snapshot: RegionSnapshot, decision: RouteDecision
    ) -> dict[str, Any]:
        # Seen from elsewhere it is another gateway that asks: whichever is nearest and permitted.
        wrong = self._policies.refusal_here(permitted, None) if view.place is None else None
        return {
            "permitted": sorted(permitted.permitted.process),
            "refused": None if wrong is None else {"reason": wrong.reason.value, "detail": wrong.detail},
            "gateways": list(self._policies.gateways_for(permitted, view.place)),
            "snapshot_age_ms": self._facts.snapshot_age_ms,
            "refusal": None if decision.candidates else refusal_of(decision, 1, retry_after_ms=0).reason.value,
            "classes": [capacity.value for capacity in self._placement.classes_of(tier)],
            **decision_json(decision, snapshot, tier=tier.value),
        } | self._forbidden(permitted, decision)

    def _forbidden(self, permitted: PolicySet, decision: RouteDecision) -> dict[str, Any]:
        """The rules of the bundle by which regions are out; none: no rule permits it. Nothing where lists decide."""
        if permitted.situation is None:
            return {}
        outside = sorted(name for name, why in decision.ruled_out.items() if why is RuledOut.outside_policy)
        rules = self._policies.rules_against
        return {"rules_against": {name: list(rules(permitted, Action.process, name)) for name in outside}}

    def _seen(self, view: Viewpoint) -> RegionSnapshot:
        snapshot = self._placement.snapshot
        if view.place is None or view.place.location is None:
            return snapshot
        return seen_from(snapshot, self._facts.catalog, view.place.location)

    def _viewpoint(self, text: str) -> Viewpoint:
        """A region's name, `latitude,longitude`, an address, or a country in which there is a region."""
        regions = self._facts.catalog.regions
        if text in ("", self._facts.here):
            return Viewpoint(self._facts.here)
        if (spec := regions.get(text)) is not None:
            return Viewpoint(text, _place(spec.country, spec.location))
        if "," in text:
            return Viewpoint(text, _place("", _location(text)))
        if (country := country_of(text)) != "":
            for spec in regions.values():
                if spec.country == country:
                    return Viewpoint(text, _place(country, spec.location))
            raise QuestionRefused(f"from: no region is in {country}; name its `latitude,longitude`")
        return Viewpoint(text, self._place_of(text))

    def _place_of(self, address: str) -> Place:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise QuestionRefused(
                "from: neither a region of the catalog, nor a country, an IP address or `latitude,longitude`"
            ) from None
        place = None if self._geography is None else self._geography.visitor(address, lambda _name: ()).place
        if place is None or place.location is None:
            raise QuestionRefused("from: no database of this gateway knows where that address is")
        return place


def _tier(text: str) -> Tier:
    try:
        return Tier(text)
    except ValueError:
        raise QuestionRefused(f"tier: one of {', '.join(tier.value for tier in Tier)}") from None


def _location(text: str) -> Location:
    latitude, _, longitude = text.partition(",")
    try:
        location = Location(float(latitude), float(longitude))
    except ValueError:
        raise QuestionRefused("from: two numbers of degrees, `latitude,longitude`") from None
    if not (-90 <= location.latitude <= 90 and -180 <= location.longitude <= 180):
        raise QuestionRefused("from: latitude within 90 degrees, longitude within 180")
    return location


def _place(country: str, location: Location) -> Place:
    return Place(country, "", location, PlaceSource.edge_header)


def _stated(query: Mapping[str, str]) -> Stated:
    """Raises QuestionRefused."""
    mistakes: list[str] = []
    stated = Stated(
        read_data_class("data_class", query.get("data_class") or None, mistakes),
        read_countries("subject", query.get("subject") or None, mistakes),
    )
    if mistakes:
        raise QuestionRefused("; ".join(mistakes))
    return stated


def _caller(query: Mapping[str, str]) -> Caller:
    """Nobody's token: who asks here may ask for all."""
    return Caller(
        tenant=query.get("tenant", ""),
        project=query.get("project", ""),
        subject="",
        plan="",
        scopes=frozenset(),
        residency_profile=query.get("profile", ""),
        expires_at_s=0,
    )
