"""The edge's certificate: checked at start, taken anew when its files change, and never for a broken one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import dev_certificates
from gateway.webtransport.quic import certificates
from gateway.webtransport.quic.certificates import Certificate, CertificateRejected, read_pair

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


class Watcher:
    def __init__(self) -> None:
        self.seen: list[bool] = []

    def certificate_reloaded(self, *, is_taken: bool) -> None:
        self.seen.append(is_taken)


def test_changed_files_are_taken_and_the_same_again_are_not(tmp_path: Path) -> None:
    made = dev_certificates.make(tmp_path)
    watcher = Watcher()
    certificate = Certificate(made.certificate_file, made.key_file, watcher=watcher)
    assert certificate.sha256_hex == made.sha256_hex
    assert certificate.reload_if_changed() is False
    second = dev_certificates.make(tmp_path)
    assert certificate.reload_if_changed() is True
    assert certificate.sha256_hex == second.sha256_hex
    os.utime(made.certificate_file)
    assert certificate.reload_if_changed() is False
    assert watcher.seen == [True]


def test_a_broken_pair_is_refused_once_and_the_old_one_stays(tmp_path: Path) -> None:
    made = dev_certificates.make(tmp_path)
    watcher = Watcher()
    certificate = Certificate(made.certificate_file, made.key_file, watcher=watcher)
    other = dev_certificates.make(tmp_path / "other")
    made.key_file.write_bytes(other.key_file.read_bytes())  # half of a change
    assert (certificate.reload_if_changed(), certificate.reload_if_changed()) == (False, False)
    assert certificate.sha256_hex == made.sha256_hex
    made.certificate_file.write_bytes(other.certificate_file.read_bytes())  # and the other half
    assert certificate.reload_if_changed() is True
    assert certificate.sha256_hex == other.sha256_hex
    made.certificate_file.unlink()
    assert certificate.reload_if_changed() is False
    assert certificate.sha256_hex == other.sha256_hex
    assert watcher.seen == [False, True, False]


def test_what_is_wrong_with_a_pair_is_said_without_its_key(tmp_path: Path) -> None:
    good = dev_certificates.make(tmp_path / "good")
    other = dev_certificates.make(tmp_path / "other")
    old = dev_certificates.make(tmp_path / "old", now=datetime.now(UTC) - timedelta(days=20))
    early = dev_certificates.make(tmp_path / "early", now=datetime.now(UTC) + timedelta(days=2))
    noise = tmp_path / "noise.pem"
    noise.write_bytes(b"\x00noise")
    for certificate_file, key_file, words in (
        (tmp_path / "none.pem", good.key_file, "cannot be read"),
        (noise, good.key_file, "no certificates in PEM"),
        (good.certificate_file, noise, "no private key in PEM"),
        (good.certificate_file, other.key_file, "not the key of the first certificate"),
        (old.certificate_file, old.key_file, "was valid until"),
        (early.certificate_file, early.key_file, "is valid only from"),
    ):
        with pytest.raises(CertificateRejected, match=words) as rejected:
            read_pair(certificate_file, key_file)
        assert "noise\x00" not in str(rejected.value)
        assert "PRIVATE" not in str(rejected.value)


def test_a_chain_keeps_its_order(tmp_path: Path) -> None:
    first, second = dev_certificates.make(tmp_path / "a"), dev_certificates.make(tmp_path / "b")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(first.certificate_file.read_bytes() + second.certificate_file.read_bytes())
    pair = read_pair(chain, first.key_file)
    assert len(pair.chain) == 2
    assert pair.sha256_hex == first.sha256_hex


def test_a_chain_that_was_completed_is_taken_though_the_first_certificate_is_the_same(tmp_path: Path) -> None:
    first, authority = dev_certificates.make(tmp_path / "a"), dev_certificates.make(tmp_path / "b")
    certificate = Certificate(first.certificate_file, first.key_file)
    with first.certificate_file.open("ab") as chain:
        chain.write(authority.certificate_file.read_bytes())
    assert certificate.reload_if_changed() is True
    assert len(certificate.pair.chain) == 2


def test_files_behind_links_are_followed_as_kubernetes_swaps_them(tmp_path: Path) -> None:
    one, two = dev_certificates.make(tmp_path / "one"), dev_certificates.make(tmp_path / "two")
    (tmp_path / "data").symlink_to("one")
    certificate = Certificate(tmp_path / "data" / one.certificate_file.name, tmp_path / "data" / one.key_file.name)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "data")
    assert certificate.reload_if_changed() is True
    assert certificate.sha256_hex == two.sha256_hex


def test_a_certificate_of_tomorrow_is_refused_once_and_taken_when_its_day_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dev_certificates.make(tmp_path)
    watcher = Watcher()
    certificate = Certificate(made.certificate_file, made.key_file, watcher=watcher)
    later = datetime.now(UTC) + timedelta(days=2)
    tomorrow = dev_certificates.make(tmp_path, now=later)
    assert (certificate.reload_if_changed(), certificate.reload_if_changed()) == (False, False)
    assert watcher.seen == [False]

    class Clock:
        @staticmethod
        def now(_zone: object) -> datetime:
            return later

    monkeypatch.setattr(certificates, "datetime", Clock)
    assert certificate.reload_if_changed() is True
    assert certificate.sha256_hex == tomorrow.sha256_hex


def test_a_key_with_which_no_handshake_would_succeed_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name([])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(days=1))
    ).sign(key, hashes.SHA256())
    (tmp_path / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "k.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(CertificateRejected, match="secp521r1"):
        read_pair(tmp_path / "c.pem", tmp_path / "k.pem")
