"""`GET /v1/regions`, and what happens at a gateway whose region may not have the caller, over HTTP and gRPC."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.geography import Geography
from gateway.admission.geography_metrics import GeographyMetrics
from gateway.admission.geography_settings import GeographySettings
from gateway.admission.policy_sets import CatalogPolicySets
from gateway.admission.residency_settings import ProfileLists
from gateway.admission.settings import AddressSettings
from gateway.transports.regions_http import PATH
from gateway.wire.codec import decode_server
from gateway.wire.messages import ErrorMessage
from gateway.wire.proto import speech_pb2 as pb
from regions.catalog import Catalog, Location, RegionSpec
from tests.contracts.gateway_in_process import GatewayInProcess, running_gateway
from tests.harness.geo_database import city, write_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.admission.admit import AdmissionSteps

pytestmark = pytest.mark.integration

RESIDENCY = ProfileLists(profiles={"eu": ("eu-west", "eu-central"), "here": ("here",)}, default=("here", "eu-west"))
IN_BERLIN, IN_FRANCE = "80.1.2.3", "91.1.2.3"
ADDRESSES = AddressSettings(exempt_networks=(), handshake_burst=3, handshakes_per_minute=1)


def region(name: str, country: str, latitude: float, longitude: float) -> RegionSpec:
    gateways = (f"wss://{name}.example/v1/stream", f"grpcs://{name}.example:443")
    if name == "eu-central":
        gateways = (f"https://{name}.example:4433/v1/stream", *gateways)
    return RegionSpec(name, Location(latitude, longitude), country, frozenset(), "us", gateways, ())


CATALOG = Catalog(
    {
        spec.name: spec
        for spec in (
            region("eu-west", "IE", 53.3, -6.3),
            region("eu-central", "DE", 50.1, 8.7),
            region("here", "US", 39.0, -77.5),
        )
    }
)


@contextlib.asynccontextmanager
async def gateway_in_a_catalog(folder: Path, **settings: Any) -> AsyncIterator[GatewayInProcess]:
    """It trusts whoever connects from 127.0.0.1."""
    path = folder / "City.mmdb"
    write_database(path, {"80.0.0.0/8": city("DE", 52.52, 13.4, subdivision="BE")})
    geography = GeographySettings(
        databases=(path,), trusted_proxies=("127.0.0.1/32",), edge_headers={"country": "CF-IPCountry"}
    )

    def steps(standard: AdmissionSteps) -> AdmissionSteps:
        return replace(
            standard,
            policies=CatalogPolicySets(RESIDENCY, region="here", catalog=lambda: CATALOG),
            geography=Geography(geography, GeographyMetrics(CollectorRegistry())),
        )

    loop = asyncio.get_running_loop()
    async with asyncio.timeout(60), running_gateway(folder, loop, steps=steps, **settings) as running:
        yield running


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[GatewayInProcess]:
    async with gateway_in_a_catalog(tmp_path) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def regions_of(gateway: GatewayInProcess) -> str:
    return gateway.websocket.replace("ws://", "http://").removesuffix("/v1/stream") + PATH


def bearer(gateway: GatewayInProcess, residency: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {gateway.token(residency=residency)}"}


async def told(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, Any]:
    async with http.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()}) as response:
        return response.status, await response.json()


async def test_regions_are_told_nearest_first_for_the_client_behind_the_proxy(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    status, body = await told(http, regions_of(gateway), X_Forwarded_For=IN_BERLIN)
    assert (status, body["here"], body["place"]) == (200, "here", {"country": "DE", "subdivision": "BE"})
    assert [(one["name"], one["is_here"]) for one in body["regions"]] == [
        ("eu-central", False),
        ("eu-west", False),
        ("here", True),
    ]
    assert body["regions"][0] == {
        "name": "eu-central",
        "is_here": False,
        "country": "DE",
        "gateways": [
            "https://eu-central.example:4433/v1/stream",
            "wss://eu-central.example/v1/stream",
            "grpcs://eu-central.example:443",
        ],
        "distance_km": 423,
    }


async def test_where_nothing_is_known_of_the_client_it_goes_by_the_distance_from_here(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    _, body = await told(http, regions_of(gateway))
    assert body["place"] is None
    assert [(one["name"], one["distance_km"]) for one in body["regions"]] == [
        ("here", None),
        ("eu-west", None),
        ("eu-central", None),
    ]


async def test_a_trusted_edge_names_the_country(gateway: GatewayInProcess, http: aiohttp.ClientSession) -> None:
    _, body = await told(http, regions_of(gateway), X_Forwarded_For=IN_FRANCE, CF_IPCountry="IE")
    assert body["place"] == {"country": "IE", "subdivision": ""}
    assert body["regions"][0]["name"] == "eu-west"


async def test_nobody_else_is_believed(gateway: GatewayInProcess) -> None:
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=connector) as http:
        _, body = await told(http, regions_of(gateway), X_Forwarded_For=IN_BERLIN, CF_IPCountry="IE")
        assert body["place"] is None


async def test_with_a_token_only_permitted_regions_are_told(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    async with http.get(regions_of(gateway), headers=bearer(gateway, "eu")) as response:
        assert {one["name"] for one in (await response.json())["regions"]} == {"eu-west", "eu-central"}
    status, body = await told(http, regions_of(gateway), Authorization="Bearer a.b.c")
    assert (status, body["reason"]) == (401, "token_malformed")
    async with http.get(regions_of(gateway), headers=bearer(gateway, "mars")) as response:
        assert (response.status, (await response.json())["reason"]) == (403, "residency_unknown_profile")


async def test_limits_count_clients_and_not_the_proxy_they_share(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with gateway_in_a_catalog(tmp_path, addresses=ADDRESSES) as gateway:
        url = regions_of(gateway)
        first = [(await told(http, url, X_Forwarded_For=IN_BERLIN))[0] for _ in range(4)]
        other = [(await told(http, url, X_Forwarded_For=f"{IN_BERLIN}, {IN_FRANCE}"))[0] for _ in range(3)]
        assert (first, other) == ([200, 200, 200, 429], [200, 200, 200])
        handshake = {**bearer(gateway, "here"), "X-Forwarded-For": IN_BERLIN}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(gateway.websocket, headers=handshake)
        assert refused.value.status == 429


# --- the wrong region -------------------------------------------------------------------------------------------


async def test_before_the_upgrade_the_wrong_region_sends_on_to_the_nearest_permitted_gateway(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    url = gateway.websocket.replace("ws://", "http://")
    headers = {**bearer(gateway, "eu"), "X-Forwarded-For": IN_BERLIN}
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        assert response.status == 307
        assert response.headers["Location"] == "wss://eu-central.example/v1/stream"
        assert response.headers["Patchbay-Reason"] == "wrong_region"
        body = await response.json()
    assert body["gateways"] == [
        "https://eu-central.example:4433/v1/stream",
        "wss://eu-central.example/v1/stream",
        "grpcs://eu-central.example:443",
        "wss://eu-west.example/v1/stream",
        "grpcs://eu-west.example:443",
    ]
    assert "`eu`" in body["message"]
    assert gateway.pool.streams == []


async def test_after_the_upgrade_the_error_names_the_permitted_gateways(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(gateway.websocket) as socket:
        await socket.send_json({"type": "start", "token": gateway.token(residency="eu")})
        error = decode_server(await socket.receive_str())
        assert isinstance(error, ErrorMessage)
        assert (error.reason, len(error.gateways)) == ("wrong_region", 5)
        closed = await socket.receive()
        assert (closed.data, closed.extra) == (4421, "wrong_region")


async def test_over_grpc_the_status_names_the_permitted_gateways(gateway: GatewayInProcess) -> None:
    metadata = (("authorization", bearer(gateway, "eu")["Authorization"]), ("x-forwarded-for", IN_BERLIN))
    async with grpc.aio.insecure_channel(gateway.grpc) as channel:
        stream = channel.stream_stream(
            "/patchbay.v1.Speech/Stream",
            request_serializer=pb.ClientMessage.SerializeToString,
            response_deserializer=pb.ServerMessage.FromString,
        )
        call = stream(metadata=metadata)
        message = await call.read()
        webtransport, *others = message.error.gateways
        assert (webtransport, others[0]) == (
            "https://eu-central.example:4433/v1/stream",
            "wss://eu-central.example/v1/stream",
        )
        assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
        trailing = await call.trailing_metadata()
        assert [value for key, value in trailing if key == "patchbay-gateway"] == [*others, webtransport]


async def test_a_permitted_caller_is_admitted_with_his_place(
    gateway: GatewayInProcess, http: aiohttp.ClientSession
) -> None:
    headers = {**bearer(gateway, "here"), "X-Forwarded-For": IN_BERLIN}
    async with http.ws_connect(gateway.websocket, headers=headers) as socket:
        await socket.send_str('{"type":"start"}')
        assert '"started"' in await socket.receive_str()
    lines = {"X-Forwarded-For": [IN_BERLIN]}
    visitor = gateway.reception.visitor("127.0.0.1", lambda name: lines.get(name, ()))
    guest = await gateway.reception.admit(gateway.token(residency="here"), visitor)
    with guest.admitted as admitted:
        assert admitted.place is not None
        assert (admitted.place.country, admitted.policies.permitted.terminate) == ("DE", frozenset({"here"}))
