"""A listener's certificate is changed while it runs; a broken one never is."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from gateway import dev_certificates
from gateway.transports.settings import TlsSettings
from gateway.transports.tls_reload import ReloadedTls
from tests.harness.shown_certificate import shown_by

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


async def test_new_handshakes_get_the_new_certificate_and_never_a_broken_one(tmp_path: Path) -> None:
    first = dev_certificates.make(tmp_path)
    tls = TlsSettings(certificate_file=first.certificate_file, key_file=first.key_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    reloaded = ReloadedTls()
    reloaded.add_context("http", tls, context)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    assert reloaded.reload_changed() == []
    assert await shown_by(port) == first.sha256_hex

    second = dev_certificates.make(tmp_path)
    assert reloaded.reload_changed() == ["http"]
    assert await shown_by(port) == second.sha256_hex

    other = dev_certificates.make(tmp_path / "other")
    tls.certificate_file.write_bytes(other.certificate_file.read_bytes())  # half of a new pair
    assert reloaded.reload_changed() == []
    assert await shown_by(port) == second.sha256_hex
    tls.key_file.unlink()
    assert reloaded.reload_changed() == []
    tls.key_file.write_bytes(other.key_file.read_bytes())
    assert reloaded.reload_changed() == ["http"]
    assert await shown_by(port) == other.sha256_hex
    server.close()


async def test_files_are_looked_at_again_and_again(tmp_path: Path) -> None:
    first = dev_certificates.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(first.certificate_file, first.key_file)
    reloaded = ReloadedTls()
    reloaded.add_context(
        "admin", TlsSettings(certificate_file=first.certificate_file, key_file=first.key_file), context
    )
    task = asyncio.create_task(reloaded.run(poll_ms=10))
    dev_certificates.make(tmp_path)
    before = reloaded._followed[0].seen
    async with asyncio.timeout(60):
        while reloaded._followed[0].seen == before:
            await asyncio.sleep(0.01)
    task.cancel()
