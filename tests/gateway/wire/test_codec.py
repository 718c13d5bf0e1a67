"""The native protocol's JSON: what is written can be read; what cannot be read is a fault that repeats nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import ClientFault, Reason
from gateway.wire.codec import MAX_JSON_BYTES, decode_client, decode_server, encode_client, encode_server, read_server
from gateway.wire.messages import (
    SERVER_MESSAGE_TYPES,
    Ack,
    AudioLost,
    AudioSpec,
    ClientMessage,
    Endpointing,
    ErrorMessage,
    Finalize,
    FinalMessage,
    Finish,
    Finished,
    Gap,
    KeepAlive,
    KeywordSpec,
    Migrated,
    PartialMessage,
    ServerMessage,
    SpeechStartedMessage,
    Start,
    Started,
    TextSpec,
    Usage,
    UtteranceEnd,
    WordMessage,
)
from tests.harness.wire_messages import SERVER_MESSAGES, TEXT_MESSAGES

pytestmark = pytest.mark.unit

CANARY = "eyJhbGciOiJIUzI1NiJ9.canary.c2lnbmF0dXJl"
CLIENT_TYPES = (Start, Gap, Finalize, Finish, KeepAlive)

FIELD_NAMES = st.sampled_from(
    [
        "type",
        "token",
        "audio",
        "encoding",
        "channels",
        "endpointing",
        "silence_ms",
        "keywords",
        "phrase",
        "text",
        "redact",
        "id",
        "resume",
        "from_sample",
        "audio_from_ms",
        CANARY,
        f"x` - at `$.{CANARY}",
    ]
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=8,
)

SHAPES: list[tuple[ServerMessage, dict[str, Any]]] = [
    (
        Started(session_id="s", model="m", model_version="1", region="eu", protocol_version=1),
        {
            "type": "started",
            "session_id": "s",
            "model": "m",
            "model_version": "1",
            "region": "eu",
            "protocol_version": 1,
        },
    ),
    (
        Started(
            session_id="s",
            model="m",
            model_version="1",
            region="eu",
            protocol_version=1,
            resume_token="t",
            resume_at=("wss://other/v1/stream",),
            resumed_from_sample=0,
            engine_region="us",
        ),
        {
            "type": "started",
            "session_id": "s",
            "model": "m",
            "model_version": "1",
            "region": "eu",
            "protocol_version": 1,
            "resume_token": "t",
            "resume_at": ["wss://other/v1/stream"],
            "resumed_from_sample": 0,
            "engine_region": "us",
        },
    ),
    (SpeechStartedMessage(120), {"type": "speech_started", "at_ms": 120}),
    (
        PartialMessage("call me", 100, 900, 5),
        {"type": "partial", "text": "call me", "start_ms": 100, "end_ms": 900, "stable_chars": 5},
    ),
    (
        FinalMessage("Hi.", 100, 900, (WordMessage("Hi.", 120, 400, 0.5),)),
        {
            "type": "final",
            "text": "Hi.",
            "start_ms": 100,
            "end_ms": 900,
            "words": [{"text": "Hi.", "start_ms": 120, "end_ms": 400, "confidence": 0.5}],
        },
    ),
    (UtteranceEnd(900, "silence"), {"type": "utterance_end", "at_ms": 900, "reason": "silence"}),
    (Ack(900), {"type": "ack", "audio_ms": 900}),
    (Ack(900, ("a", "b")), {"type": "ack", "audio_ms": 900, "finalized": ["a", "b"]}),
    (Ack(900, (), 14_407), {"type": "ack", "audio_ms": 900, "sample": 14_407}),
    (AudioLost(400, 620), {"type": "audio_lost", "start_ms": 400, "end_ms": 620}),
    (
        Migrated("engine_lost", 3_240, 410, "v1"),
        {
            "type": "migrated",
            "reason": "engine_lost",
            "replayed_ms": 3_240,
            "pause_elapsed_ms": 410,
            "model_version": "v1",
        },
    ),
    (Usage(61_000, 1_900_000), {"type": "usage", "audio_ms": 61_000, "compute_us": 1_900_000}),
    (
        ErrorMessage(reason="no_capacity", message="later", retryable=True, retry_after_ms=2_000),
        {
            "type": "error",
            "reason": "no_capacity",
            "message": "later",
            "retryable": True,
            "retry_after_ms": 2_000,
            "level": None,
            "gateways": [],
        },
    ),
    (
        ErrorMessage(reason="quota_exhausted", message="no", retryable=True, level="org"),
        {
            "type": "error",
            "reason": "quota_exhausted",
            "message": "no",
            "retryable": True,
            "retry_after_ms": None,
            "level": "org",
            "gateways": [],
        },
    ),
    (
        ErrorMessage(reason="wrong_region", message="no", retryable=False, gateways=("wss://eu.example/v1/stream",)),
        {
            "type": "error",
            "reason": "wrong_region",
            "message": "no",
            "retryable": False,
            "retry_after_ms": None,
            "level": None,
            "gateways": ["wss://eu.example/v1/stream"],
        },
    ),
    (Finished(61_000), {"type": "finished", "audio_ms": 61_000}),
]


def outcome_of(text: str | bytes) -> ClientMessage | ClientFault:
    try:
        return decode_client(text)
    except ClientFault as fault:
        return fault


def fault_of(text: str | bytes) -> ClientFault:
    outcome = outcome_of(text)
    assert isinstance(outcome, ClientFault)
    return outcome


# --- what is written can be read ------------------------------------------------------------------------------


@given(TEXT_MESSAGES)
def test_what_a_client_writes_the_gateway_reads(message: Start | Gap | Finalize | Finish | KeepAlive) -> None:
    assert decode_client(encode_client(message)) == message
    assert decode_client(encode_client(message).encode()) == message


@given(SERVER_MESSAGES)
def test_what_the_gateway_writes_a_client_reads(message: ServerMessage) -> None:
    assert decode_server(encode_server(message)) == message


@pytest.mark.parametrize(("message", "shape"), SHAPES, ids=lambda value: type(value).__name__)
def test_a_server_message_has_its_documented_shape(message: ServerMessage, shape: dict[str, Any]) -> None:
    assert json.loads(encode_server(message)) == shape


def test_every_server_message_has_a_documented_shape() -> None:
    assert {type(message) for message, _ in SHAPES} == set(SERVER_MESSAGE_TYPES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"start"}', Start()),
        ('{"audio":{"encoding":"mulaw","sample_rate_hz":8000},"type":"start"}', Start(audio=AudioSpec("mulaw", 8_000))),
        ('{"type":"start","endpointing":{"silence_ms":500}}', Start(endpointing=Endpointing(500))),
        ('{"type":"start","token":null,"partials":false}', Start(partials=False)),
        ('{"type":"start","endpointing":{"no_speech_ms":9000}}', Start(endpointing=Endpointing(None, 9_000))),
        ('{"type":"start","model_version":"v2","decoding":"beam"}', Start(model_version="v2", decoding="beam")),
        ('{"type":"start","keywords":[{"phrase":"acme"}]}', Start(keywords=(KeywordSpec("acme", 2_000),))),
        (
            '{"type":"start","text":{"numerals":true,"redact":["email"]}}',
            Start(text=TextSpec(numerals=True, profanity="keep", redact=("email",))),
        ),
        ('{"type":"gap","samples":320}', Gap(320)),
        ('{"type":"finalize"}', Finalize()),
        ('{"type":"finalize","id":"7"}', Finalize("7")),
        (' {"type":"finish"}\n', Finish()),
        ('{"type":"keepalive"}', KeepAlive()),
    ],
)
def test_what_a_client_leaves_out_has_its_default(text: str, message: object) -> None:
    assert decode_client(text) == message


# --- what cannot be read ----------------------------------------------------------------------------------------


@given(st.binary(max_size=200) | st.text(max_size=200) | JSON_VALUES.map(json.dumps))
@example("[" * 60_000)
@example('{"a":' * 10_000)
@example('{"type":"start","max_utterance_ms":' + "9" * 60_000 + "}")
@example('{"type":"start","max_utterance_ms":1e999}')
@example('{"type":"start","model":"\\ud800"}')
@example("\ud800")
@example("")
@settings(max_examples=300)
def test_whatever_comes_is_a_message_or_a_typed_fault(text: str | bytes) -> None:
    outcome = outcome_of(text)
    assert isinstance(outcome, CLIENT_TYPES) or outcome.reason is Reason.malformed_message
    assert isinstance(outcome, CLIENT_TYPES) or len(outcome.detail) < 300


@given(st.dictionaries(FIELD_NAMES, JSON_VALUES, max_size=4), st.sampled_from(["start", "finalize", "finish", CANARY]))
@example({CANARY: 1}, "start")
@example({"audio": {CANARY: 1}}, "start")
@example({"endpointing": {f"x` - at `$.{CANARY}": 1}}, "start")
@example({"id": {CANARY: CANARY}}, "finalize")
@example({"keywords": [{"phrase": "a"}, {CANARY: CANARY}]}, "start")
@example({"text": {"redact": [{CANARY: 1}]}}, "start")
@example({}, CANARY)
@settings(max_examples=300)
def test_a_fault_never_repeats_what_the_client_wrote(fields: dict[str, Any], kind: str) -> None:
    """A client that mixes up its fields may put its token anywhere."""
    outcome = outcome_of(json.dumps({"type": kind} | fields))
    assert isinstance(outcome, CLIENT_TYPES) or "canary" not in f"{outcome.detail} {outcome}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"type":"begin"}', "Expected start, gap, finalize, finish or keepalive - at `$.type`"),
        ('{"id":"7"}', "Object missing required field `type`"),
        ('{"type":"start","audio":{"rate":8000}}', "a field that the protocol does not have - at `$.audio`"),
        ('{"type":"start","audio":{"channels":"2"}}', "Expected `int`, got `str` - at `$.audio.channels`"),
        ('{"type":"start","keywords":[{"phrase":"a"},{}]}', "required field `phrase` - at `$.keywords[1]`"),
        ('{"type":"start","keywords":[{"phrase":7}]}', "Expected `str`, got `int` - at `$.keywords[0].phrase`"),
        ('{"type":"start","keywords":["acme"]}', "Expected `object`, got `str` - at `$.keywords[0]`"),
        ('{"type":"start","text":{"digits":true}}', "a field that the protocol does not have - at `$.text`"),
        ('{"type":"finish","id":"7"}', "a field that the protocol does not have"),
        ('["start"]', "Expected `object`, got `array`"),
        ("start", "one JSON object with a `type`"),
        ('{"type":"start"}{"type":"finish"}', "one JSON object with a `type`"),
    ],
)
def test_a_fault_says_what_is_wrong_and_where(text: str, says: str) -> None:
    fault = fault_of(text)
    assert fault.reason is Reason.malformed_message
    assert says in fault.detail


def test_a_path_that_a_client_wrote_is_not_taken_for_ours() -> None:
    assert "$.audio" not in fault_of('{"type":"start","x` - at `$.audio.silence":1}').detail


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_a_text_message_may_have_so_many_bytes_and_not_one_more(letter: str) -> None:
    frame = len('{"type":"finalize","id":""}')
    longest = (MAX_JSON_BYTES - frame) // len(letter.encode())
    assert isinstance(decode_client(f'{{"type":"finalize","id":"{letter * longest}"}}'), Finalize)
    assert fault_of(f'{{"type":"finalize","id":"{letter * (longest + 1)}"}}').reason is Reason.message_too_large


@given(SERVER_MESSAGES)
def test_what_a_later_server_adds_to_a_message_is_passed_over(message: ServerMessage) -> None:
    said = json.loads(encode_server(message)) | {"a_later_field": {"of": ["any", "kind"]}}
    assert read_server(json.dumps(said)) == message


def test_a_type_of_message_that_a_later_server_adds_is_passed_over() -> None:
    assert read_server('{"type": "weather", "at_ms": "soon"}') is None


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"type": 7}', '{"type": "finished"}', '{"type": "ack", "audio_ms": "x"}']
)
def test_what_breaks_the_protocol_is_not_passed_over(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_server(text)
