"""A gateway process as a whole: its ready line, its ports, TLS, and its way out."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.dev_keys import DEV_ALGORITHM, DEV_AUDIENCE, DEV_ISSUER, DevClaims, create_or_load
from gateway.settings import as_environment
from gateway.transports.proxy_protocol import SIGNATURE
from gateway.wire.codec import decode_server
from gateway.wire.messages import ErrorMessage
from gateway.wire.proto import speech_pb2 as pb
from tests.harness.certificates import Authority
from tests.harness.geo_database import city, write_database
from tests.harness.waiting import until_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.integration

DEADLINE_S = 60
ROOT = Path(__file__).parents[2]


@dataclass
class Gateway:
    """A running process, and what its ready line said."""

    process: asyncio.subprocess.Process
    ready: dict[str, str]
    state: Path

    def token(self) -> str:
        keys = create_or_load(self.state)
        return keys.mint(DevClaims(), ttl_s=600, now_s=int(datetime.datetime.now(datetime.UTC).timestamp()))

    async def end(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()

    async def stderr(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


def settings_of(state: Path, **changes: Any) -> dict[str, Any]:
    issuer = {
        "issuer": DEV_ISSUER,
        "audience": DEV_AUDIENCE,
        "algorithms": [DEV_ALGORITHM],
        "static_keys": create_or_load(state).jwks()["keys"],
    }
    least = {"engines__addresses": [f"unix:{state}/engine.sock"], "tokens__issuers": [issuer]}
    ports = {f"{name}__port": 0 for name in ("http", "grpc", "admin")}
    return least | ports | {"drain__finish_ms": 0} | changes


@contextlib.asynccontextmanager
async def process_of(state: Path, **changes: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PATCHBAY")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "--json"),
        env=environment | as_environment(settings_of(state, **changes)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@contextlib.asynccontextmanager
async def gateway_of(state: Path, **changes: Any) -> AsyncIterator[Gateway]:
    async with process_of(state, **changes) as process:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            line = await process.stdout.readline()
        yield Gateway(process, json.loads(line), state)


@contextlib.asynccontextmanager
async def engine_of(state: Path) -> AsyncIterator[None]:
    """A scripted engine where `settings_of` says there is one."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engines", "--recogniser", "scripted", "--listen", f"unix:{state}/engine.sock"),
        cwd=ROOT,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@dataclass
class Certificate:
    """A pair for 127.0.0.1, signed by itself."""

    certificate_file: Path
    key_file: Path

    @property
    def setting(self) -> dict[str, str]:
        return {"certificate_file": str(self.certificate_file), "key_file": str(self.key_file)}

    @property
    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate_file)


def certificate_in(folder: Path, *, password: bytes | None = None) -> Certificate:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    pem = serialization.Encoding.PEM
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    made.certificate_file.write_bytes(certificate.public_bytes(pem))
    made.key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock))
    return made


# --- behind a proxy of TCP --------------------------------------------------------------------------------------


async def test_behind_a_proxy_of_tcp_the_client_is_who_its_header_names_and_nobody_else_gets_in(tmp_path: Path) -> None:
    certificate = certificate_in(tmp_path / "tls")
    database = tmp_path / "City.mmdb"
    write_database(database, {"80.0.0.0/8": city("DE", 52.52, 13.4)})
    geography = {
        "geography__trusted_proxies": ["127.0.0.1/32"],
        "geography__proxy_protocol": "required",
        "geography__databases": [str(database)],
        "geography__required": True,
    }
    header = SIGNATURE + struct.pack("!BBH4s4sHH", 0x21, 0x11, 12, bytes((80, 1, 2, 3)), bytes(4), 4711, 443)
    async with gateway_of(tmp_path, http__tls=certificate.setting, **geography) as gateway:
        port = int(gateway.ready["http"].rpartition(":")[2])
        raw = socket.create_connection(("127.0.0.1", port))  # whoever speaks TLS over it closes it
        raw.sendall(header)
        reader, writer = await asyncio.open_connection(
            sock=raw, ssl=certificate.client_context, server_hostname="127.0.0.1"
        )
        writer.write(b"GET /v1/regions HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
        writer.close()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["place"] == {"country": "DE", "subdivision": ""}
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientConnectionError):
                await http.get(gateway.ready["http"], ssl=certificate.client_context)
            async with http.get(gateway.ready["metrics"]) as response:
                page = await response.text()
        assert 'patchbay_proxy_headers_total{outcome="accepted"} 1.0' in page
        assert 'patchbay_proxy_headers_total{outcome="malformed"} 1.0' in page
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.end() == 0


# --- the ready line ---------------------------------------------------------------------------------------------


async def test_the_ready_line_names_ports_that_answer(tmp_path: Path) -> None:
    async with gateway_of(tmp_path, region="eu-1") as gateway, aiohttp.ClientSession() as http:
        ready = gateway.ready
        assert set(ready) == {"http", "websocket", "grpc", "metrics", "console", "region"}
        assert ready["region"] == "eu-1"
        assert ready["websocket"] == ready["http"].replace("http://", "ws://") + "/v1/stream"
        ports = {address.removesuffix("/metrics").rpartition(":")[2] for address in (ready["http"], ready["metrics"])}
        assert len(ports | {ready["grpc"].rpartition(":")[2], "0"}) == 4
        async with http.get(f"{ready['http']}/healthz") as response:
            assert response.status == 200
        async with http.get(ready["metrics"]) as response:
            assert "patchbay_sessions 0" in await response.text()
        async with http.get(ready["console"]) as response:
            assert "<title>Patchbay console</title>" in await response.text()


async def test_a_console_that_is_off_has_no_address_and_no_page(tmp_path: Path) -> None:
    async with gateway_of(tmp_path, console__enabled=False) as gateway, aiohttp.ClientSession() as http:
        assert "console" not in gateway.ready
        async with http.get(f"{gateway.ready['http']}/console") as response:
            assert response.status == 404


async def test_it_is_ready_for_clients_only_while_an_engine_answers(tmp_path: Path) -> None:
    async with gateway_of(tmp_path) as gateway, aiohttp.ClientSession() as http:

        async def status() -> int:
            async with http.get(f"{gateway.ready['http']}/readyz") as response:
                return response.status

        async def is_ready() -> bool:
            return await status() == 200

        async def is_not_ready() -> bool:
            return await status() == 503

        assert await is_not_ready()
        async with engine_of(tmp_path):
            await until_true(is_ready, what="readiness")
        await until_true(is_not_ready, what="the loss of the engine")


async def test_an_ipv6_address_stands_in_brackets(tmp_path: Path) -> None:
    hosts = {f"{name}__host": "::1" for name in ("http", "grpc", "admin")}
    async with gateway_of(tmp_path, **hosts) as gateway, aiohttp.ClientSession() as http:
        assert gateway.ready["grpc"].startswith("[::1]:")
        async with http.get(f"{gateway.ready['http']}/healthz") as response:
            assert response.status == 200
        async with grpc.aio.insecure_channel(gateway.ready["grpc"]) as channel:
            async with asyncio.timeout(DEADLINE_S):
                await channel.channel_ready()


# --- TLS ----------------------------------------------------------------------------------------------------------


async def test_http_metrics_and_grpc_speak_tls_with_their_certificates(tmp_path: Path) -> None:
    pair = certificate_in(tmp_path / "tls")
    tls = {f"{name}__tls": pair.setting for name in ("http", "grpc", "admin")}
    async with gateway_of(tmp_path, **tls) as gateway, aiohttp.ClientSession() as http:
        ready = gateway.ready
        assert [ready[name].partition("://")[0] for name in ("http", "websocket", "grpc", "metrics")] == [
            "https",
            "wss",
            "grpcs",
            "https",
        ]
        for url in (f"{ready['http']}/healthz", ready["metrics"]):
            async with http.get(url, ssl=pair.client_context) as response:
                assert response.status == 200
        async with http.ws_connect(ready["websocket"], ssl=pair.client_context) as socket:
            await socket.send_str('{"type":"start"}')
            error = decode_server(await socket.receive_str())
            assert isinstance(error, ErrorMessage)
            assert error.reason == "token_missing"
        credentials = grpc.ssl_channel_credentials(pair.certificate_file.read_bytes())
        async with grpc.aio.secure_channel(ready["grpc"].removeprefix("grpcs://"), credentials) as channel:
            call = channel.stream_stream(
                "/patchbay.v1.Speech/Stream",
                request_serializer=pb.ClientMessage.SerializeToString,
                response_deserializer=pb.ServerMessage.FromString,
            )([pb.ClientMessage(start=pb.Start())])
            async with asyncio.timeout(DEADLINE_S):
                assert (await call.read()).error.reason == "token_missing"
                assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_port_with_tls_answers_no_plain_text_and_no_old_version(tmp_path: Path) -> None:
    pair = certificate_in(tmp_path / "tls")
    async with gateway_of(tmp_path, http__tls=pair.setting) as gateway, aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientError):
            await http.get(gateway.ready["http"].replace("https", "http") + "/healthz")
        old = pair.client_context
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(aiohttp.ClientError):
            await http.get(gateway.ready["http"] + "/healthz", ssl=old)


@pytest.mark.parametrize("name", ["http", "grpc", "admin"])
@pytest.mark.parametrize("kind", ["of another key", "no PEM", "locked"])
async def test_a_pair_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path, name: str, kind: str) -> None:
    pair = certificate_in(tmp_path / "tls", password=b"secret" if kind == "locked" else None)
    if kind == "of another key":
        pair.key_file.write_bytes(certificate_in(tmp_path / "other").key_file.read_bytes())
    if kind == "no PEM":
        pair.certificate_file.write_bytes(b"no PEM")
    async with process_of(tmp_path, **{f"{name}__tls": pair.setting}) as process:
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
    assert process.returncode == 64
    assert err.decode().startswith(f"wrong setting: {name}.tls: {pair.certificate_file}")
    assert b"Traceback" not in err
    assert out == b""


async def test_a_relay_whose_port_is_taken_ends_the_process_and_names_it(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(
        """
[[regions]]
name = "local"
country = "IE"
location = { latitude = 53, longitude = -6 }
jurisdictions = ["eu"]
operator = "acme"
gateways = ["wss://local.example.com/v1/stream"]
relays = ["local.example.com:8085"]
pools = [{ name = "a", capacity = "reserved", models = [{ name = "en" }] }]
"""
    )
    files = Authority(tmp_path / "authority").issue("local")
    relay = {name: str(getattr(files, name)) for name in ("certificate_file", "key_file", "ca_file")}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        relay |= {"host": "127.0.0.1", "port": taken.getsockname()[1]}
        async with process_of(tmp_path, regions={"catalog_file": str(catalog), "relay": relay}) as process:
            async with asyncio.timeout(DEADLINE_S):
                out, err = await process.communicate()
    assert process.returncode == 69
    assert f"cannot listen for relay on 127.0.0.1:{relay['port']}" in err.decode()
    assert b"Traceback" not in err
    assert out == b""


# --- plans --------------------------------------------------------------------------------------------------------


async def test_plans_change_under_a_running_gateway(tmp_path: Path) -> None:
    """A good file is followed without a restart, a bad one changes nothing and is told."""
    plans = tmp_path / "plans.toml"
    plans.write_text("[plans.gold]\n")
    changes = {"plans_file": str(plans), "plans_look_interval_ms": 50}
    changes = {f"limits__{name}": value for name, value in changes.items()} | {"sessions__opening_timeout_ms": 50}
    async with gateway_of(tmp_path, **changes) as gateway, aiohttp.ClientSession() as http:
        keys, now_s = create_or_load(tmp_path), int(datetime.datetime.now(datetime.UTC).timestamp())
        tokens = {plan: keys.mint(DevClaims(plan=plan), ttl_s=600, now_s=now_s) for plan in ("gold", "silver")}

        async def is_known(plan: str) -> bool:
            """There is no engine, so that whoever is admitted hears of that."""
            async with http.ws_connect(gateway.ready["websocket"]) as socket:
                await socket.send_str(json.dumps({"type": "start", "token": tokens[plan]}))
                error = decode_server(await socket.receive_str())
                assert isinstance(error, ErrorMessage)
                return error.reason != "unknown_plan"

        async def metric(name: str) -> bool:
            async with http.get(gateway.ready["metrics"]) as response:
                return name in await response.text()

        assert [await is_known("gold"), await is_known("silver")] == [True, False]
        write_beside_and_rename(plans, "[plans.silver]\n")
        await until_true(lambda: is_known("silver"), what="the new plans")
        assert not await is_known("gold")
        write_beside_and_rename(plans, "[plans.gold\n")
        await until_true(lambda: metric("\npatchbay_plans_reload_failed 1.0\n"), what="the alarm")
        assert await is_known("silver")
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.end() == 0
        events = [json.loads(line)["event"] for line in (await gateway.stderr()).splitlines()]
    assert [event for event in events if event.startswith("plans.")] == ["plans.loaded", "plans.rejected"]


def write_beside_and_rename(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


# --- its way out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_an_idle_gateway_with_0(tmp_path: Path, number: signal.Signals) -> None:
    async with gateway_of(tmp_path, drain__finish_ms=60_000) as gateway:
        gateway.process.send_signal(number)
        assert await gateway.end() == 0
        events = [json.loads(line)["event"] for line in (await gateway.stderr()).splitlines()]
    assert events == ["gateway.ready", "drain.announced", "drain.done"]


async def test_a_session_hears_that_the_gateway_drains_and_is_closed_as_retryable(tmp_path: Path) -> None:
    async with engine_of(tmp_path), gateway_of(tmp_path, drain__finish_ms=60_000) as gateway:
        async with aiohttp.ClientSession() as http:
            await until_true(lambda: _is_ready(http, gateway), what="readiness")
            headers = {"Authorization": f"Bearer {gateway.token()}"}
            async with http.ws_connect(gateway.ready["websocket"], headers=headers) as socket:
                await socket.send_str('{"type":"start"}')
                assert json.loads(await socket.receive_str())["type"] == "started"
                gateway.process.send_signal(signal.SIGTERM)
                heard = [message.data async for message in socket if message.type is aiohttp.WSMsgType.TEXT]
                error = decode_server(heard[-1])
                assert isinstance(error, ErrorMessage)
                assert (error.reason, error.retryable, socket.close_code) == ("draining", True, 1012)
        assert await gateway.end() == 0


async def _is_ready(http: aiohttp.ClientSession, gateway: Gateway) -> bool:
    async with http.get(f"{gateway.ready['http']}/readyz") as response:
        return response.ok


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with gateway_of(tmp_path, drain__announce_ms=120_000) as gateway, aiohttp.ClientSession() as http:

        async def is_draining() -> bool:
            async with http.get(f"{gateway.ready['http']}/readyz") as response:
                return "draining" in await response.text()

        gateway.process.send_signal(signal.SIGTERM)
        await until_true(is_draining, what="the drain")
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.end() != 0
