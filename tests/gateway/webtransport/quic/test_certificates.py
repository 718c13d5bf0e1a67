"""The edge's certificate: checked at start, taken anew when its files change, and never for a broken one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gateway import dev_certificates
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
    noise = tmp_path / "noise.pem"
    noise.write_bytes(b"\x00noise")
    for certificate_file, key_file, words in (
        (tmp_path / "none.pem", good.key_file, "cannot be read"),
        (noise, good.key_file, "no certificates in PEM"),
        (good.certificate_file, noise, "no private key in PEM"),
        (good.certificate_file, other.key_file, "not the key of the first certificate"),
        (old.certificate_file, old.key_file, "was valid until"),
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
