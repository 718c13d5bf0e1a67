"""`patchbay transcribe`: send a recording or standard input to a gateway and show the words as they come."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer

from engines.interface import Decoding, ProfanityHandling, RedactionKind
from gateway.cli.audio_source import FileAudio, KeptAudio
from gateway.cli.connection import ConnectionFailed, TransportChoice, exit_code_of
from gateway.cli.display import JsonDisplay, TerminalDisplay
from gateway.cli.exit_codes import ExitCode
from gateway.cli.gateway_places import LOOPBACK_HOSTS
from gateway.cli.keyword_option import parse_keyword
from gateway.cli.recording import (
    DATAGRAM_PIECE_MS,
    InputLost,
    Recording,
    UnknownRecording,
    from_stdin,
    read_recording,
)
from gateway.cli.resuming import Endpoint, ResumeRules, ResumingSession
from gateway.cli.webtransport_options import OptionsRefused, WebTransportOptions, place_of
from gateway.dev_keys import DevClaims, DevKeysRefused, create_or_load, state_directory
from gateway.running_regions import newest
from gateway.wire.messages import AudioSpec, Endpointing, ErrorMessage, Start, TextSpec
from policies.facts import MAX_CHANNELS, MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ, AudioEncoding

if TYPE_CHECKING:
    from gateway.cli.audio_source import AudioSource
    from gateway.cli.display import Display

_DEV_TTL_S = 6 * 3_600
_MAX_OPTION_MS = 600_000
"""More than any gateway allows, and little enough for every protocol's integers."""


def transcribe(
    file: Annotated[str, typer.Argument(help="WAV, FLAC, Ogg/WebM Opus or MP3; `-` is standard input.")],
    url: Annotated[
        str, typer.Option(envvar="PATCHBAY_URL", help="Default: the region that `patchbay up` runs here.")
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="PATCHBAY_TOKEN", help="Default on this machine: the development key.")
    ] = "",
    protocol: Annotated[TransportChoice, typer.Option(help="How to speak to the gateway.")] = TransportChoice.ws,
    speed: Annotated[float, typer.Option(min=0, help="1 is as spoken; 0 as fast as the gateway takes it.")] = 1.0,
    encoding: Annotated[AudioEncoding | None, typer.Option(help="For raw audio and standard input.")] = None,
    rate: Annotated[
        int, typer.Option(min=MIN_SAMPLE_RATE_HZ, max=MAX_SAMPLE_RATE_HZ, help="Sample rate of raw audio, Hz.")
    ] = 16_000,
    channels: Annotated[int, typer.Option(min=1, max=MAX_CHANNELS, help="Channels of the audio.")] = 1,
    channel: Annotated[int, typer.Option(min=0, max=MAX_CHANNELS - 1, help="The channel to recognise, from 0.")] = 0,
    language: Annotated[str, typer.Option(help="BCP 47; default: the model's.")] = "",
    model: Annotated[str, typer.Option(help="Name of a model; default: the engine's.")] = "",
    partials: Annotated[bool, typer.Option(help="Show words before they are final.")] = True,
    silence_ms: Annotated[
        int | None, typer.Option(min=0, max=_MAX_OPTION_MS, help="Pause that ends an utterance.")
    ] = None,
    no_speech_ms: Annotated[
        int | None, typer.Option(min=0, max=_MAX_OPTION_MS, help="Audio without speech is let go after so long.")
    ] = None,
    max_utterance_ms: Annotated[int | None, typer.Option(min=0, max=_MAX_OPTION_MS, help="Longest utterance.")] = None,
    model_version: Annotated[str, typer.Option(help="This version of the model or none.")] = "",
    decoding: Annotated[Decoding, typer.Option(help="beam weighs several readings.")] = Decoding.greedy,
    keyword: Annotated[
        list[str] | None, typer.Option(help="PHRASE or PHRASE:BOOST to listen for; may be given several times.")
    ] = None,
    numerals: Annotated[bool, typer.Option("--numerals", help="Write numbers in digits.")] = False,
    punctuation: Annotated[bool, typer.Option("--punctuation", help="Write capitals and punctuation.")] = False,
    profanity: Annotated[ProfanityHandling, typer.Option(help="What becomes of profane words.")] = (
        ProfanityHandling.keep
    ),
    redact: Annotated[
        list[RedactionKind] | None, typer.Option(help="What is hidden; may be given several times.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on elsewhere when the connection is lost.")
    ] = True,
    certificate_hash: Annotated[
        list[str] | None,
        typer.Option(help="WebTransport: SHA-256 of the gateway's certificate; may be given several times."),
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="WebTransport: who signs the gateway's certificate.")] = None,
    datagrams: Annotated[
        bool, typer.Option("--datagrams", help="WebTransport: raw audio in datagrams; what is lost stays lost.")
    ] = False,
    fallback: Annotated[
        bool, typer.Option("--fallback/--no-fallback", help="WebSocket where WebTransport does not come through.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's messages as JSON lines.")] = False,
) -> None:
    """Transcribe a recording, live.

    Exit codes: 0 done; 64 wrong command line; 65 the gateway refused the audio or an option; 66 no such file;
    69 no gateway, or busy: try later; 70 a fault of the gateway; 76 the connection broke; 77 token refused; 130 Ctrl-C.
    """
    given = AudioSpec((encoding or AudioEncoding.pcm_s16le).value, rate, channels, channel)
    try:
        recording, audio = _input(file, given, is_encoding_given=encoding is not None)
    except OSError as error:
        _fail(f"{file}: {error.strerror}", ExitCode.no_input)
    except UnknownRecording as error:
        _fail(f"{file}: {error}", ExitCode.usage)
    start = Start(
        audio=audio,
        language=language,
        model=model,
        partials=partials,
        endpointing=Endpointing(silence_ms, no_speech_ms),
        max_utterance_ms=max_utterance_ms,
        model_version=model_version,
        decoding=decoding.value,
        keywords=tuple(map(parse_keyword, keyword or ())),
        text=TextSpec(
            numerals=numerals,
            punctuation=punctuation,
            profanity=profanity.value,
            redact=tuple(kind.value for kind in redact or ()),
        ),
    )
    webtransport = WebTransportOptions(tuple(certificate_hash or ()), ca_file, datagrams, fallback)
    if datagrams and recording is not None:
        recording = replace(recording, piece_ms=DATAGRAM_PIECE_MS)
    try:
        endpoint = _endpoint(url, token, protocol, webtransport)
        webtransport.check_audio(audio, speed)
    except OptionsRefused as refused:
        _fail(str(refused), ExitCode.usage)
    display: Display = (
        JsonDisplay() if as_json else TerminalDisplay(None if recording is None else recording.duration_ms)
    )
    try:
        with display:
            code = asyncio.run(_run(endpoint, start, recording, speed, display, is_resuming=resume))
    except ConnectionFailed as failed:
        _fail(str(failed), failed.exit_code)
    except InputLost as lost:
        _fail(f"{file}: {lost}", ExitCode.no_input)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.interrupted) from None
    raise typer.Exit(code)


def _fail(text: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise typer.Exit(code) from None


def _input(file: str, given: AudioSpec, *, is_encoding_given: bool) -> tuple[Recording | None, AudioSpec]:
    """What is sent, None for standard input, and as what. Raises OSError and UnknownRecording."""
    encoding = AudioEncoding(given.encoding)
    if encoding is AudioEncoding.opus:
        raise UnknownRecording("bare Opus packets have no borders in a file; put them into Ogg or WebM")
    if file == "-":
        return None, given
    is_described = is_encoding_given and not encoding.is_self_describing
    recording = read_recording(Path(file), given if is_described else None)
    if is_described:
        return recording, given
    channels = max(given.channels, given.channel + 1)
    return recording, AudioSpec(recording.audio.encoding, given.sample_rate_hz, channels, given.channel)


def _endpoint(given: str, token: str, protocol: TransportChoice, options: WebTransportOptions) -> Endpoint:
    """Raises OptionsRefused."""
    if protocol is not TransportChoice.webtransport:
        if options.is_any_given:
            raise OptionsRefused(
                "--certificate-hash, --ca-file, --datagrams and --no-fallback are for --protocol webtransport"
            )
        where = given or _url_here(protocol)
        return Endpoint(where, _token(token, where), protocol)
    place = place_of(given, options, newest(state_directory(os.environ)))
    return Endpoint(place.url, _token(token, place.url), protocol, place.choices, place.fallback_url)


def _url_here(protocol: TransportChoice) -> str:
    running = newest(state_directory(os.environ))
    is_grpc = protocol is TransportChoice.grpc
    if running is not None:
        return str(running["grpc" if is_grpc else "websocket"])
    return "127.0.0.1:8081" if is_grpc else "ws://127.0.0.1:8080/v1/stream"


def _token(given: str, url: str) -> str:
    """The given token; on this machine, one of the development key."""
    if given and not (given.isascii() and given.isprintable()):
        _fail("the token holds characters that no token has", ExitCode.usage)
    if given:
        return given
    try:
        host = urlsplit(url if "://" in url else f"//{url}").hostname
    except ValueError:
        _fail(f"{url} is not an address", ExitCode.usage)
    if host not in LOOPBACK_HOSTS:
        _fail("give --token or set PATCHBAY_TOKEN; the development key is for this machine only", ExitCode.usage)
    try:
        keys = create_or_load(state_directory(os.environ))
    except (DevKeysRefused, OSError) as error:
        _fail(f"no development key: {error}", ExitCode.usage)
    return keys.mint(DevClaims(), ttl_s=_DEV_TTL_S, now_s=int(time.time()))


async def _run(
    endpoint: Endpoint, start: Start, recording: Recording | None, speed: float, display: Display, *, is_resuming: bool
) -> ExitCode:
    """The whole session. Raises ConnectionFailed and InputLost."""
    source: AudioSource = (
        KeptAudio(start.audio, from_stdin(start.audio)) if recording is None else FileAudio(recording, speed)
    )
    rules = ResumeRules(is_on=is_resuming)
    last = await ResumingSession(endpoint, start, source, display.show, rules=rules).run()
    return exit_code_of(last) if isinstance(last, ErrorMessage) else ExitCode.ok
