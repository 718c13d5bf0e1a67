"""Development certificates: kept while they are good, made again before they are not."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from gateway.dev_certificates import (
    BACK_DATED,
    BROWSERS_LONGEST,
    RENEWED_AT_AGE,
    VALID_FOR,
    DevCertificateRefused,
    create_or_renew,
    make,
    shown,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def test_it_is_kept_for_ten_days_and_then_made_again(tmp_path: Path) -> None:
    first = create_or_renew(tmp_path, now=NOW)
    assert first.not_after == NOW - BACK_DATED + VALID_FOR
    nearly = NOW - BACK_DATED + RENEWED_AT_AGE - timedelta(seconds=1)
    assert create_or_renew(tmp_path, now=nearly) == first
    second = create_or_renew(tmp_path, now=nearly + timedelta(seconds=1))
    assert second.sha256_hex != first.sha256_hex
    assert create_or_renew(tmp_path, now=NOW - timedelta(days=1)) != second  # made in what is the future now


def test_another_host_needs_another_one_and_fewer_do_not(tmp_path: Path) -> None:
    first = create_or_renew(tmp_path, now=NOW)
    named = create_or_renew(tmp_path, hosts=["Gateway.LAN", "[2001:db8::1]"], now=NOW)
    assert named.sha256_hex != first.sha256_hex
    assert set(shown(named.certificate_file).hosts) >= {"gateway.lan", "2001:db8::1", "localhost", "127.0.0.1", "::1"}
    assert create_or_renew(tmp_path, now=NOW) == named


@pytest.mark.parametrize("broken", ["certificate_file", "key_file"])
def test_a_broken_pair_is_replaced(tmp_path: Path, broken: str) -> None:
    first = create_or_renew(tmp_path, now=NOW)
    getattr(first, broken).write_bytes(b"-----BEGIN")
    assert create_or_renew(tmp_path, now=NOW).sha256_hex != first.sha256_hex


def test_the_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    first, other = create_or_renew(tmp_path / "a", now=NOW), create_or_renew(tmp_path / "b", now=NOW)
    first.key_file.write_bytes(other.key_file.read_bytes())
    assert create_or_renew(tmp_path / "a", now=NOW).sha256_hex != first.sha256_hex


def test_browsers_take_it_and_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    made = make(tmp_path / "new" / "directory", now=NOW)
    found = shown(made.certificate_file)
    assert found.refused_by_hash == ()
    assert found.sha256.hex() == made.sha256_hex
    assert found.not_after - found.not_before <= BROWSERS_LONGEST
    assert stat.S_IMODE(made.key_file.stat().st_mode) == 0o600
    assert sorted(file.name for file in made.key_file.parent.iterdir()) == [
        "dev-certificate-key.pem",
        "dev-certificate.pem",
    ]
    assert x509.load_pem_x509_certificate(made.certificate_file.read_bytes()).version is x509.Version.v3


def test_what_cannot_be_written_or_named_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DevCertificateRefused, match="cannot be written"):
        make(tmp_path / "file" / "below")
    for host in ("", "no name", "ü" * 80):
        with pytest.raises(DevCertificateRefused, match="neither"):
            make(tmp_path, hosts=[host])
    with pytest.raises(DevCertificateRefused, match="cannot be read"):
        shown(tmp_path / "nothing")
