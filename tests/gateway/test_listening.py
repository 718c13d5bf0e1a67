"""What a gateway tells of where it is reached, and what it finds wrong with certificates before any port is bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.dev_certificates import create_or_renew
from gateway.listening import Addresses, Certificates, ListenFailed, authority
from gateway.settings import GatewaySettings, SettingsRefused, validate
from gateway.transports.settings import ListenSettings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

LEAST: dict[str, Any] = {
    "engines": {"addresses": ["unix:engine.sock"]},
    "tokens": {"issuers": [{"issuer": "i", "audience": "a", "algorithms": ["RS256"], "jwks_url": "https://i.example"}]},
}


def tls_in(folder: Path) -> dict[str, str]:
    pair = create_or_renew(folder)
    return {"certificate_file": str(pair.certificate_file), "key_file": str(pair.key_file)}


def settings_with(**more: Any) -> GatewaySettings:
    return validate(LEAST | more)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert authority("::1", 80) == "[::1]:80"
    assert authority("127.0.0.1", 80) == "127.0.0.1:80"
    failed = ListenFailed("http", ListenSettings(host="::1", port=80), "it is taken")
    assert str(failed) == "cannot listen for http on [::1]:80: it is taken"


def test_what_there_is_not_is_not_told() -> None:
    addresses = Addresses(http="h", websocket="w", grpc="g", metrics="m", webtransport="t")
    assert addresses.told() == {"http": "h", "websocket": "w", "grpc": "g", "metrics": "m", "webtransport": "t"}


def test_good_certificates_are_taken(tmp_path: Path) -> None:
    tls = tls_in(tmp_path)
    certificates = Certificates(settings_with(http={"tls": tls}, grpc={"tls": tls}, webtransport={"tls": tls}))
    assert certificates.http is not None
    assert certificates.admin is None
    assert certificates.grpc is not None
    assert certificates.reloaded.reload_changed() == []
    create_or_renew(tmp_path).certificate_file.touch()
    assert certificates.reloaded.reload_changed() == ["http", "grpc"]


def test_every_wrong_certificate_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    tls = {"certificate_file": str(broken), "key_file": str(broken)}
    with pytest.raises(SettingsRefused) as refused:
        Certificates(
            settings_with(**{name: {"tls": tls} for name in ("http", "grpc", "admin", "webtransport")}),
        )
    assert [mistake.split(":")[0] for mistake in refused.value.mistakes] == [
        "http.tls",
        "admin.tls",
        "grpc.tls",
        "webtransport.tls",
    ]
