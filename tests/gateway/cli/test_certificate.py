"""`patchbay certificate`: a pair that browsers take by its hash, and one sentence where one is not taken."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

pytestmark = pytest.mark.unit


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["certificate", *arguments], env={"XDG_STATE_HOME": str(home)})


def test_what_is_made_can_be_shown_and_used(tmp_path: Path) -> None:
    made = run(tmp_path, "make", "--host", "gateway.lan", "--host", "192.0.2.7", "--json")
    assert made.exit_code == 0, made.output
    said = json.loads(made.stdout)
    shown = json.loads(run(tmp_path, "show", "--json").stdout)
    assert shown == {name: said[name] for name in shown}
    assert shown["hosts"] == ["localhost", "gateway.lan", "127.0.0.1", "::1", "192.0.2.7"]
    assert shown["taken_by_hash"] is True
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(said["certificate_file"], said["key_file"])
    assert "browsers take it by its hash" in run(tmp_path, "show", said["certificate_file"]).stdout


def test_why_browsers_refuse_one_is_said(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([])
    start = datetime.now(UTC)
    plain = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "long.pem"
    file.write_bytes(plain.public_bytes(serialization.Encoding.PEM))
    said = json.loads(run(tmp_path, "show", str(file), "--json").stdout)
    assert said["taken_by_hash"] is False
    assert said["refused_by_hash"] == [
        "its key is not ECDSA on P-256 or P-384",
        "it is valid for more than 14 days",
        "it has no X.509 extension",
    ]
    assert "do not take it" in run(tmp_path, "show", str(file)).stdout


def test_what_cannot_be_read_or_named_is_one_sentence(tmp_path: Path) -> None:
    missing = run(tmp_path, "show")
    assert missing.exit_code == ExitCode.no_input
    assert missing.output.count("\n") == 1
    (tmp_path / "none.pem").write_text("no certificate")
    assert run(tmp_path, "show", str(tmp_path / "none.pem")).exit_code == ExitCode.no_input
    unnamed = run(tmp_path, "make", "--host", "a host")
    assert unnamed.exit_code == ExitCode.usage
    assert "neither a host name" in unnamed.output
