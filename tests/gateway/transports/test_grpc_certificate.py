"""The gRPC listener's certificate is changed while it listens; calls that run are not touched."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
import pytest

from gateway import dev_certificates
from gateway.transports.grpc_certificate import GrpcCertificate
from gateway.transports.settings import TlsSettings
from tests.harness.shown_certificate import shown_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.dev_certificates import DevCertificate

pytestmark = pytest.mark.integration

ECHO = "/t.Echo/Echo"


def tls_of(pair: DevCertificate) -> TlsSettings:
    return TlsSettings(certificate_file=pair.certificate_file, key_file=pair.key_file)


async def echo(messages: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
    async for message in messages:
        yield message


@contextlib.asynccontextmanager
async def served(certificate: GrpcCertificate) -> AsyncIterator[int]:
    server = grpc.aio.server()
    method = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.Echo", {"Echo": method}),))
    port = server.add_secure_port("127.0.0.1:0", certificate.credentials())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=0)


async def test_new_handshakes_get_what_was_taken(tmp_path: Path) -> None:
    first = dev_certificates.make(tmp_path)
    certificate = GrpcCertificate(tls_of(first))
    async with asyncio.timeout(60), served(certificate) as port:
        assert await shown_by(port) == first.sha256_hex
        second = dev_certificates.make(tmp_path)
        assert await shown_by(port) == first.sha256_hex  # nothing was taken
        certificate.take()
        assert await shown_by(port) == second.sha256_hex
        assert await shown_by(port) == second.sha256_hex


async def test_a_call_that_runs_goes_on(tmp_path: Path) -> None:
    first = dev_certificates.make(tmp_path)
    certificate = GrpcCertificate(tls_of(first))
    trust = grpc.ssl_channel_credentials(first.certificate_file.read_bytes())
    async with asyncio.timeout(60), served(certificate) as port:
        async with grpc.aio.secure_channel(f"localhost:{port}", trust) as channel:
            call = channel.stream_stream(ECHO)()
            await call.write(b"before")
            assert await call.read() == b"before"
            second = dev_certificates.make(tmp_path)
            certificate.take()
            assert await shown_by(port) == second.sha256_hex
            await call.write(b"after")
            assert await call.read() == b"after"
        async with grpc.aio.secure_channel(f"localhost:{port}", trust) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:  # who trusts the old one alone
                await channel.stream_stream(ECHO)().read()
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_files_that_do_not_belong_together_change_nothing(tmp_path: Path) -> None:
    first = dev_certificates.make(tmp_path)
    certificate = GrpcCertificate(tls_of(first))
    async with asyncio.timeout(60), served(certificate) as port:
        other = dev_certificates.make(tmp_path / "other")
        first.certificate_file.write_bytes(other.certificate_file.read_bytes())
        certificate.take()
        assert await shown_by(port) == first.sha256_hex
        first.key_file.write_bytes(other.key_file.read_bytes())
        certificate.take()
        assert await shown_by(port) == other.sha256_hex
        first.key_file.unlink()
        with pytest.raises(FileNotFoundError):
            certificate.take()
        assert await shown_by(port) == other.sha256_hex
