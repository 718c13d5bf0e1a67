"""What `patchbay up` adds to settings for WebTransport: a certificate where none is named, and ports as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.cli.up_webtransport import webtransport_settings
from gateway.dev_certificates import DevCertificateRefused, create_or_renew, make, shown

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_without_settings_there_is_a_certificate_of_this_machine(tmp_path: Path) -> None:
    settings, renew = webtransport_settings({}, tmp_path, host=None, port=None)
    pair = create_or_renew(tmp_path)
    assert settings == {
        "webtransport__tls": {"certificate_file": str(pair.certificate_file), "key_file": str(pair.key_file)}
    }
    assert renew is not None
    assert renew() == pair.sha256_hex


def test_the_command_line_goes_over_settings(tmp_path: Path) -> None:
    tree = {"webtransport": {"port": 1, "host": "here.example"}}
    settings, _ = webtransport_settings(tree, tmp_path, host="there.example", port=0)
    assert (settings["webtransport__host"], settings["webtransport__port"]) == ("there.example", 0)
    hosts = shown(create_or_renew(tmp_path, hosts=["there.example", "here.example"]).certificate_file).hosts
    assert {"here.example", "there.example", "127.0.0.1"} <= set(hosts)


def test_any_host_is_no_name_for_a_certificate(tmp_path: Path) -> None:
    webtransport_settings({}, tmp_path, host="0.0.0.0", port=None)
    assert "0.0.0.0" not in shown(create_or_renew(tmp_path).certificate_file).hosts


def test_a_certificate_that_settings_name_is_the_operators_and_only_looked_at(tmp_path: Path) -> None:
    pair = create_or_renew(tmp_path)
    named = {"certificate_file": str(pair.certificate_file), "key_file": str(pair.key_file)}
    tree: dict[str, Any] = {"webtransport": {"tls": named}}
    settings, look = webtransport_settings(tree, tmp_path / "state", host=None, port=7)
    assert settings == {"webtransport__port": 7}
    assert not (tmp_path / "state").exists()
    assert look is not None
    assert look() == pair.sha256_hex
    renewed = make(tmp_path)
    assert look() == renewed.sha256_hex != pair.sha256_hex


@pytest.mark.parametrize("tls", [None, "a", {}, {"certificate_file": 1}])
def test_a_certificate_that_is_named_wrongly_is_for_the_settings_to_refuse(tmp_path: Path, tls: object) -> None:
    assert webtransport_settings({"webtransport": {"tls": tls}}, tmp_path, host=None, port=None) == ({}, None)


def test_a_host_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DevCertificateRefused):
        webtransport_settings({}, tmp_path, host="no host", port=None)
