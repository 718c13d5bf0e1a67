"""From `start` to a session request: defaults, bounds, and every mistake named at once."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import Decoding, Keyword, ProfanityHandling, RedactionKind, StreamOptions, TextOptions
from gateway.errors import ClientFault, Reason
from gateway.wire.handshake import OptionLimits, ResumeRequest, SessionRequest, read_start
from gateway.wire.messages import AudioSpec, Endpointing, KeywordSpec, Resume, Start, TextSpec
from gateway.wire.option_digests import option_digests
from gateway.wire.recognition_options import KeywordLimits
from policies.facts import AudioEncoding, AudioFormat
from tests.harness.wire_messages import STARTS

pytestmark = pytest.mark.unit

LIMITS = OptionLimits(
    min_silence_ms=200,
    max_silence_ms=2_000,
    default_silence_ms=800,
    min_no_speech_ms=1_000,
    max_no_speech_ms=20_000,
    default_no_speech_ms=4_000,
    min_utterance_ms=2_000,
    max_utterance_ms=30_000,
    default_utterance_ms=20_000,
    keywords=KeywordLimits(max_keywords=3, max_phrase_chars=20, max_total_chars=50, max_boost_permille=5_000),
)
CANARY = "eyJhbGciOiJIUzI1NiJ9.canary.c2lnbmF0dXJl"


def outcome_of(start: Start) -> SessionRequest | ClientFault:
    try:
        return read_start(start, LIMITS)
    except ClientFault as fault:
        return fault


def fault_of(start: Start) -> ClientFault:
    outcome = outcome_of(start)
    assert isinstance(outcome, ClientFault)
    return outcome


def test_an_empty_start_asks_for_the_defaults() -> None:
    assert read_start(Start(), LIMITS) == SessionRequest(
        token=None,
        audio=AudioFormat(AudioEncoding.pcm_s16le, 16_000, 1, 0),
        options=StreamOptions(
            model="",
            model_version="",
            language="",
            wants_partials=True,
            min_trailing_silence_ms=800,
            max_silence_without_speech_ms=4_000,
            max_utterance_ms=20_000,
            decoding=Decoding.greedy,
            keywords=(),
            text=TextOptions(),
        ),
    )


def test_what_a_client_asks_for_is_what_the_engines_are_asked_for() -> None:
    start = Start(
        token="t",
        audio=AudioSpec("mulaw", 8_000, 2, 1),
        language="en-GB",
        model="small",
        partials=False,
        endpointing=Endpointing(500, 9_000),
        max_utterance_ms=10_000,
        model_version="v2",
        decoding="beam",
        keywords=(KeywordSpec("acme cloud", -500),),
        text=TextSpec(numerals=True, punctuation=True, profanity="mask", redact=("iban", "email")),
    )
    assert read_start(start, LIMITS) == SessionRequest(
        token="t",
        audio=AudioFormat(AudioEncoding.mulaw, 8_000, 2, 1),
        options=StreamOptions(
            model="small",
            language="en-GB",
            wants_partials=False,
            min_trailing_silence_ms=500,
            max_silence_without_speech_ms=9_000,
            max_utterance_ms=10_000,
            model_version="v2",
            decoding=Decoding.beam,
            keywords=(Keyword("acme cloud", -500),),
            text=TextOptions(
                numerals=True,
                punctuation=True,
                profanity=ProfanityHandling.mask,
                redact=(RedactionKind.email, RedactionKind.iban),
            ),
        ),
        option_digests=option_digests(start),
    )


@pytest.mark.parametrize("encoding", list(AudioEncoding))
def test_every_encoding_can_be_asked_for(encoding: AudioEncoding) -> None:
    assert read_start(Start(audio=AudioSpec(encoding.value)), LIMITS).audio.encoding is encoding


@pytest.mark.parametrize(
    ("option", "lowest", "highest"),
    [("silence_ms", 200, 2_000), ("no_speech_ms", 1_000, 20_000), ("max_utterance_ms", 2_000, 30_000)],
)
def test_an_option_may_lie_on_its_bounds_and_not_beyond(option: str, lowest: int, highest: int) -> None:
    def start(value: int) -> Start:
        if option == "max_utterance_ms":
            return Start(max_utterance_ms=value)
        return Start(endpointing=Endpointing(**{option: value}))

    for value in (lowest, highest):
        read_start(start(value), LIMITS)
    for value in (lowest - 1, highest + 1):
        fault = fault_of(start(value))
        assert fault.reason is Reason.bad_option
        assert f"{option} must be {lowest} to {highest}, not {value}" in fault.detail


@pytest.mark.parametrize("option", ["model", "model_version", "language"])
@pytest.mark.parametrize("value", ["x" * 129, "a\nb", "a\x00", "a\u202eb"])
def test_a_name_is_short_and_printable_and_not_repeated_otherwise(option: str, value: str) -> None:
    fault = fault_of(Start(**{option: value}))
    assert fault.reason is Reason.bad_option
    assert fault.detail == f"{option} must be at most 128 printable characters"


def test_every_mistaken_option_is_named_at_once() -> None:
    start = Start(
        model="x" * 129,
        model_version="\x00",
        language="\n",
        endpointing=Endpointing(1, 1),
        max_utterance_ms=1,
        decoding=CANARY,
        keywords=(KeywordSpec(CANARY + "\n"), KeywordSpec("a", 99_999)),
        text=TextSpec(profanity=CANARY, redact=("email", CANARY)),
    )
    detail = fault_of(start).detail
    assert detail.split("; ") == [
        "model must be at most 128 printable characters",
        "model_version must be at most 128 printable characters",
        "language must be at most 128 printable characters",
        "endpointing.silence_ms must be 200 to 2000, not 1",
        "endpointing.no_speech_ms must be 1000 to 20000, not 1",
        "max_utterance_ms must be 2000 to 30000, not 1",
        "decoding must be one of greedy, beam",
        "keywords[0].phrase must be 1 to 20 printable characters",
        "keywords[1].boost_permille must be -5000 to 5000",
        "text.profanity must be one of keep, mask, remove",
        "text.redact may hold card_number, phone_number, email, iban, national_id",
    ]


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (AudioSpec(CANARY), ["audio.encoding", "pcm_s16le", "mp3"]),
        (AudioSpec(""), ["audio.encoding"]),
        (AudioSpec(sample_rate_hz=7_999), ["audio.sample_rate_hz"]),
        (AudioSpec(sample_rate_hz=48_001), ["audio.sample_rate_hz"]),
        (AudioSpec(sample_rate_hz=0, channels=0), ["audio.sample_rate_hz", "audio.channels"]),
        (AudioSpec(sample_rate_hz=-1, channels=9), ["audio.sample_rate_hz", "audio.channels"]),
        (AudioSpec(channels=2, channel=2), ["audio.channel must"]),
        (AudioSpec(channels=2, channel=-1), ["audio.channel must"]),
    ],
)
def test_audio_that_cannot_be_read_is_refused_with_every_mistake(spec: AudioSpec, names: list[str]) -> None:
    fault = fault_of(Start(audio=spec))
    assert fault.reason is Reason.bad_audio_format
    assert [name for name in names if name not in fault.detail] == []
    assert "canary" not in fault.detail


def test_a_request_shows_neither_its_token_nor_its_phrases() -> None:
    limits = dataclasses.replace(LIMITS, keywords=KeywordLimits(1, 100, 100, 0))
    request = read_start(Start(token=CANARY, keywords=(KeywordSpec(CANARY, 0),)), limits)
    assert request.token == CANARY
    assert "canary" not in f"{request!r} {request}"


@given(STARTS, st.sampled_from([encoding.value for encoding in AudioEncoding] + [""]), st.integers(-1, 9))
def test_any_start_is_a_request_within_the_limits_or_a_typed_fault(start: Start, encoding: str, channels: int) -> None:
    fields: dict[str, Any] = {name: getattr(start, name) for name in start.__struct_fields__}
    start = Start(**fields | {"audio": AudioSpec(encoding, 16_000, channels)})
    outcome = outcome_of(start)
    if isinstance(outcome, ClientFault):
        assert outcome.reason in {Reason.bad_audio_format, Reason.bad_option}
        return
    assert LIMITS.min_silence_ms <= outcome.options.min_trailing_silence_ms <= LIMITS.max_silence_ms
    assert LIMITS.min_utterance_ms <= outcome.options.max_utterance_ms <= LIMITS.max_utterance_ms
    assert LIMITS.min_no_speech_ms <= outcome.options.max_silence_without_speech_ms <= LIMITS.max_no_speech_ms
    assert len(outcome.options.keywords) <= LIMITS.keywords.max_keywords
    assert outcome.audio.mistakes() == []


def test_a_session_that_goes_on_says_where() -> None:
    def resume_of(resume: Resume) -> ResumeRequest | None:
        return read_start(Start(resume=resume), LIMITS).resume

    assert resume_of(Resume(token="t", from_sample=0)) == ResumeRequest("t", 0, 0)
    assert resume_of(Resume(token="t", from_sample=16_007)) == ResumeRequest("t", 16_007, 0)
    assert resume_of(Resume(token="t", from_sample=16_007, audio_from_ms=500)) == ResumeRequest("t", 16_007, 8_007)
    assert resume_of(Resume(token="t", from_sample=16_007, audio_from_ms=1_000)) == ResumeRequest("t", 16_007, 7)


@pytest.mark.parametrize(
    "resume",
    [
        Resume(token="", from_sample=0),
        Resume(token=CANARY * 1_000, from_sample=0),
        Resume(token="t", from_sample=-1),
        Resume(token="t", from_sample=2**60),
        Resume(token="t", from_sample=15_999, audio_from_ms=1_000),
        Resume(token="t", from_sample=16_000, audio_from_ms=-1),
    ],
)
def test_a_place_that_no_session_can_go_on_from_is_a_bad_option(resume: Resume) -> None:
    fault = fault_of(Start(resume=resume))
    assert fault.reason is Reason.bad_option
    assert "resume." in fault.detail
    assert CANARY not in fault.detail


def test_a_request_shows_no_token() -> None:
    shown = repr(read_start(Start(token=CANARY, resume=Resume(token=CANARY, from_sample=0)), LIMITS))
    assert CANARY not in shown
    assert CANARY not in repr(ResumeRequest(CANARY, 0, 0))
