"""Which options of WebTransport go together, and what a region of this machine says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli.webtransport_connection import WebTransportChoices
from gateway.cli.webtransport_options import (
    STANDARD_URL,
    OptionsRefused,
    WebTransportOptions,
    WebTransportPlace,
    place_of,
)
from gateway.webtransport.client.trust import CaFile, CertificateHash
from gateway.wire.messages import AudioSpec
from tests.harness.certificates import Authority

pytestmark = pytest.mark.unit

SHA256 = "ab" * 32
RUNNING = {
    "webtransport": "https://127.0.0.1:18083/v1/stream",
    "webtransport_certificate_sha256": SHA256,
    "websocket": "ws://127.0.0.1:18080/v1/stream",
}
OURS = WebTransportPlace(
    str(RUNNING["webtransport"]), WebTransportChoices(CertificateHash.of(SHA256)), str(RUNNING["websocket"])
)
PLAIN = WebTransportOptions()


@pytest.mark.parametrize("given", ["", "https://127.0.0.1:18083", "127.0.0.1:18083", "https://127.0.0.1:18083/"])
def test_a_region_of_this_machine_is_known_by_its_note(given: str) -> None:
    assert place_of(given, PLAIN, RUNNING) == OURS


def test_without_one_the_standard_port_is_tried() -> None:
    assert place_of("", PLAIN, None).url == STANDARD_URL


def test_another_gateway_is_trusted_by_authorities_and_has_its_websocket_at_the_same_port() -> None:
    assert place_of("https://asr.example/v1/stream?x=y", PLAIN, RUNNING) == WebTransportPlace(
        "https://asr.example/v1/stream?x=y", WebTransportChoices(), "wss://asr.example/v1/stream?x=y"
    )


def test_what_is_given_goes_before_what_is_announced(tmp_path: Path) -> None:
    other = WebTransportOptions(certificate_hashes=("CD" * 32, "ef" * 32), has_datagrams=True, may_fall_back=False)
    assert place_of("", other, RUNNING) == WebTransportPlace(
        OURS.url, WebTransportChoices(CertificateHash.of("cd" * 32, "ef" * 32), has_datagrams=True), None
    )
    ca_file = Authority(tmp_path).issue("localhost").ca_file
    by_file = WebTransportOptions(ca_file=ca_file)
    assert place_of("", by_file, RUNNING).choices.trust == CaFile(ca_file)


def test_a_file_of_authorities_that_holds_none_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for name, says in (("nothing.pem", "cannot be read"), ("no.pem", "no certificates in PEM")):
        with pytest.raises(OptionsRefused, match=f"--ca-file: .*{says}"):
            place_of("", WebTransportOptions(ca_file=tmp_path / name), RUNNING)


@pytest.mark.parametrize(
    ("given", "options", "running", "says"),
    [
        ("wss://asr.example/v1/stream", PLAIN, None, "begins with https://"),
        ("https://[::1", PLAIN, None, "is not an address"),
        ("", PLAIN, {"websocket": "ws://127.0.0.1:1"}, "has no WebTransport"),
        ("", WebTransportOptions(certificate_hashes=("ab",)), None, "64 hexadecimal digits"),
        ("", WebTransportOptions(certificate_hashes=(SHA256,), ca_file=Path("a")), None, "not both"),
    ],
)
def test_what_means_nothing_is_refused(
    given: str, options: WebTransportOptions, running: dict[str, str] | None, says: str
) -> None:
    with pytest.raises(OptionsRefused, match=says):
        place_of(given, options, running)


def test_only_raw_audio_that_is_paced_travels_in_datagrams() -> None:
    in_datagrams = WebTransportOptions(has_datagrams=True)
    in_datagrams.check_audio(AudioSpec("mulaw", 8_000), 1.0)
    with pytest.raises(OptionsRefused, match="raw audio"):
        in_datagrams.check_audio(AudioSpec("wav"), 1.0)
    with pytest.raises(OptionsRefused, match="--speed"):
        in_datagrams.check_audio(AudioSpec(), 0.0)
    PLAIN.check_audio(AudioSpec("wav"), 0.0)


def test_whether_anything_was_said_about_webtransport_is_known() -> None:
    assert not PLAIN.is_any_given
    assert WebTransportOptions(may_fall_back=False).is_any_given
    assert WebTransportOptions(certificate_hashes=(SHA256,)).is_any_given
    assert WebTransportOptions(ca_file=Path("a")).is_any_given
    assert WebTransportOptions(has_datagrams=True).is_any_given
