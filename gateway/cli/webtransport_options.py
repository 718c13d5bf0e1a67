"""What `patchbay transcribe` is told about WebTransport: where it is, whom to trust, what to do where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from policies.facts import AudioEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.cli.webtransport_connection import WebTransportChoices
    from gateway.webtransport.client.trust import Trust
    from gateway.wire.messages import AudioSpec

STANDARD_URL = "https://127.0.0.1:4433/v1/stream"


class OptionsRefused(Exception):
    """They do not go together, or mean nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class WebTransportOptions:
    """As they stand on the command line."""

    certificate_hashes: Sequence[str] = ()
    ca_file: Path | None = None
    has_datagrams: bool = False
    may_fall_back: bool = True

    @property
    def is_any_given(self) -> bool:
        return bool(self.certificate_hashes or self.ca_file or self.has_datagrams or not self.may_fall_back)

    def check_audio(self, audio: AudioSpec, speed: float) -> None:
        """Raises OptionsRefused: the audio cannot travel so."""
        if self.has_datagrams and not AudioEncoding(audio.encoding).is_raw:
            raise OptionsRefused("--datagrams is for raw audio; say what it is with --encoding and --rate")
        if self.has_datagrams and not speed:
            raise OptionsRefused(
                "--datagrams needs a --speed: nothing holds datagrams back, and what is too much is lost"
            )


@dataclass(frozen=True, slots=True)
class WebTransportPlace:
    """Where a session is asked for, and as what `Endpoint` takes it."""

    url: str
    choices: WebTransportChoices
    fallback_url: str | None


def place_of(given_url: str, options: WebTransportOptions, running: dict[str, Any] | None) -> WebTransportPlace:
    """Raises OptionsRefused.

    Args:
        running: the note of a region of this machine. What it says of its certificate and of its WebSocket holds where
            nothing was given, or its own address.
    """
    from gateway.cli.webtransport_connection import WebTransportChoices, webtransport_url

    announced = None if running is None else running.get("webtransport")
    if not given_url and running is not None and announced is None:
        raise OptionsRefused(
            "the region that runs here has no WebTransport; give --url, or start it with --webtransport"
        )
    try:
        url = webtransport_url(given_url or announced or STANDARD_URL)
        is_ours = announced is not None and running is not None and url == webtransport_url(announced)
    except ValueError:
        raise OptionsRefused(f"{given_url} is not an address") from None
    if urlsplit(url).scheme != "https":
        raise OptionsRefused(f"{given_url} is not an address of WebTransport, which begins with https://")
    ours = running if is_ours else None
    fallback_url = None
    if options.may_fall_back:
        fallback_url = urlsplit(url)._replace(scheme="wss").geturl() if ours is None else str(ours["websocket"])
    return WebTransportPlace(url, WebTransportChoices(_trust(options, ours), options.has_datagrams), fallback_url)


def _trust(options: WebTransportOptions, ours: dict[str, Any] | None) -> Trust | None:
    from gateway.webtransport.client.errors import NotTrusted
    from gateway.webtransport.client.trust import CaFile, CertificateHash, check_authorities

    if options.certificate_hashes and options.ca_file is not None:
        raise OptionsRefused("give --certificate-hash or --ca-file, not both")
    hashes = tuple(options.certificate_hashes)
    if options.ca_file is not None:
        try:
            check_authorities(options.ca_file)
        except NotTrusted as refused:
            raise OptionsRefused(f"--ca-file: {refused}") from None
        return CaFile(options.ca_file)
    if not hashes and ours is not None and (announced := ours.get("webtransport_certificate_sha256")):
        hashes = (str(announced),)
    try:
        return CertificateHash(hashes) if hashes else None
    except ValueError as error:
        raise OptionsRefused(f"--certificate-hash: {error}") from None
