"""Promises of the certificates: a pair is in force or it is not, and files are followed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from prometheus_client import CollectorRegistry

from regions.links.certificates import CertificateMetrics, Certificates, CertificatesUnusable, TlsFiles, read_pair
from tests.harness.certificates import Authority
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@contextlib.asynccontextmanager
async def followed(files: TlsFiles) -> AsyncIterator[tuple[Certificates, CollectorRegistry]]:
    registry = CollectorRegistry()
    certificates = Certificates(files, metrics=CertificateMetrics(registry))
    running = asyncio.create_task(certificates.run())
    yield certificates, registry
    running.cancel()


def reads(registry: CollectorRegistry, outcome: str) -> float:
    labels = {"use": "links", "outcome": outcome}
    return registry.get_sample_value("patchbay_link_certificate_reads_total", labels) or 0.0


def test_every_mistake_is_listed(tmp_path: Path, authority: Authority) -> None:
    files = authority.issue("eu-west")
    files.ca_file.write_text("no certificate")
    files.key_file.write_bytes(authority.made("eu-west")[0])
    with pytest.raises(CertificatesUnusable) as error:
        read_pair(files)
    assert [line.partition(": ")[2] for line in str(error.value).splitlines()] == [
        "no PEM certificate",
        f"not the key of {files.certificate_file}",
    ]
    absent = TlsFiles(certificate_file=tmp_path / "a", key_file=tmp_path / "b", ca_file=tmp_path / "c")
    with pytest.raises(CertificatesUnusable, match="No such file") as error:
        Certificates(absent)
    assert len(str(error.value).splitlines()) == 3
    files.key_file.write_text("no key")
    with pytest.raises(CertificatesUnusable, match="not a PEM private key"):
        read_pair(files)


async def test_a_key_of_a_kind_that_is_not_known_changes_nothing(authority: Authority) -> None:
    files = authority.issue("eu-west")
    async with followed(files) as (certificates, registry):
        first = certificates.current
        of_elliptic_curves = bytes.fromhex("06072a8648ce3d0201")
        der = x509.load_pem_x509_certificate(first.certificate_pem).public_bytes(Encoding.DER)
        der = der.replace(of_elliptic_curves, of_elliptic_curves[:-1] + b"\x7f")
        files.certificate_file.write_text(ssl.DER_cert_to_PEM_cert(der))
        await until(lambda: reads(registry, "unusable") == 1)
        assert certificates.current == first
        with pytest.raises(CertificatesUnusable, match="a key of a kind that is not known"):
            read_pair(files)


async def test_half_of_a_new_pair_changes_nothing_and_the_whole_is_in_force(authority: Authority) -> None:
    async with followed(authority.issue("eu-west")) as (certificates, registry):
        first = certificates.current
        key, certificate = authority.made("eu-west", valid_for_s=9_000)
        authority.files("eu-west").certificate_file.write_bytes(certificate)
        await until(lambda: reads(registry, "unusable") == 1)
        assert certificates.current == first
        changed = asyncio.create_task(certificates.until_other_than(first.digest))
        authority.files("eu-west").key_file.write_bytes(key)
        await asyncio.wait_for(changed, 60)
        assert certificates.current.certificate_pem == certificate
        shown = registry.get_sample_value("patchbay_link_certificate_expires_seconds", {"use": "links"})
        assert shown == certificates.current.expires_at_unix_s > first.expires_at_unix_s


async def test_an_expired_certificate_does_not_replace_one_that_is_not(authority: Authority) -> None:
    async with followed(authority.issue("eu-west")) as (certificates, registry):
        first = certificates.current
        authority.issue("eu-west", valid_for_s=-10)
        await until(lambda: reads(registry, "unusable") >= 1)
        assert certificates.current == first
        assert not first.is_expired


async def test_files_that_vanish_leave_what_is_in_force(authority: Authority) -> None:
    async with followed(authority.issue("eu-west")) as (certificates, registry):
        first = certificates.current
        authority.files("eu-west").key_file.unlink()
        await until(lambda: reads(registry, "unusable") == 1)
        assert certificates.current == first
