"""The native protocol's protobuf says the same as its JSON, and what is no message is a typed fault."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import ClientFault, Reason
from gateway.wire.codec import MAX_JSON_BYTES
from gateway.wire.messages import (
    SERVER_MESSAGE_TYPES,
    Audio,
    AudioSpec,
    ClientMessage,
    Endpointing,
    Finalize,
    Finish,
    Finished,
    Gap,
    KeepAlive,
    KeywordSpec,
    ServerMessage,
    Start,
    TextSpec,
)
from gateway.wire.proto import speech_pb2 as pb
from gateway.wire.proto_codec import decode_client, decode_server, encode_client, encode_server, read_server
from tests.harness.wire_messages import CLIENT_MESSAGES, SERVER_MESSAGES

pytestmark = pytest.mark.unit

CANARY = "eyJhbGciOiJIUzI1NiJ9.canary.c2lnbmF0dXJl"


def fault_of(message: pb.ClientMessage) -> ClientFault:
    with pytest.raises(ClientFault) as refusal:
        decode_client(message)
    return refusal.value


@given(CLIENT_MESSAGES)
def test_what_a_client_writes_the_gateway_reads(message: ClientMessage) -> None:
    read = pb.ClientMessage.FromString(encode_client(message).SerializeToString())
    assert decode_client(read) == message


@given(SERVER_MESSAGES)
def test_what_the_gateway_writes_a_client_reads(message: ServerMessage) -> None:
    read = pb.ServerMessage.FromString(encode_server(message).SerializeToString())
    assert decode_server(read) == message


def test_both_sides_of_the_protocol_have_the_same_messages_in_both_codings() -> None:
    tags = {kind.__struct_config__.tag for kind in SERVER_MESSAGE_TYPES}
    assert {field.name for field in pb.ServerMessage.DESCRIPTOR.fields} == tags
    client = {kind.__struct_config__.tag for kind in (Start, Audio, Gap, Finalize, Finish, KeepAlive)}
    assert {field.name for field in pb.ClientMessage.DESCRIPTOR.fields} == client


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (pb.Start(), Start()),
        (pb.Start(audio=pb.AudioSpec()), Start()),
        (pb.Start(audio=pb.AudioSpec(encoding="mulaw", sample_rate_hz=8_000)), Start(audio=AudioSpec("mulaw", 8_000))),
        (pb.Start(token=""), Start(token="")),
        (pb.Start(partials=False), Start(partials=False)),
        (pb.Start(endpointing=pb.Endpointing()), Start()),
        (pb.Start(max_utterance_ms=0), Start(max_utterance_ms=0)),
        (pb.Start(endpointing=pb.Endpointing(no_speech_ms=0)), Start(endpointing=Endpointing(None, 0))),
        (pb.Start(decoding="", text=pb.Text()), Start(decoding="greedy", text=TextSpec(profanity="keep"))),
        (pb.Start(keywords=[pb.Keyword(phrase="a")]), Start(keywords=(KeywordSpec("a", 2_000),))),
        (pb.Start(keywords=[pb.Keyword(phrase="a", boost_permille=0)]), Start(keywords=(KeywordSpec("a", 0),))),
    ],
)
def test_what_a_client_leaves_out_has_its_default(written: pb.Start, read: Start) -> None:
    assert decode_client(pb.ClientMessage(start=written)) == read


@given(st.binary(max_size=200))
@example(b"")
def test_whatever_protobuf_comes_is_a_message_or_a_typed_fault(data: bytes) -> None:
    try:
        read = pb.ClientMessage.FromString(data)
    except DecodeError:
        return  # gRPC ends the call itself
    if read.WhichOneof("message") is None:
        assert fault_of(read).reason is Reason.malformed_message
    else:
        assert isinstance(decode_client(read), Start | Audio | Finalize | Finish | KeepAlive)


def test_a_message_with_nothing_in_it_is_malformed_and_not_repeated() -> None:
    unknown_field = b"\x9a\x06" + bytes([len(CANARY)]) + CANARY.encode()  # field 99, length-delimited
    fault = fault_of(pb.ClientMessage.FromString(unknown_field))
    assert fault.reason is Reason.malformed_message
    assert "canary" not in fault.detail


@pytest.mark.parametrize("kind", ["start", "finalize"])
def test_a_message_without_audio_is_bounded_as_its_json_is(kind: str) -> None:
    long = CANARY + "x" * MAX_JSON_BYTES
    message = pb.ClientMessage(**{kind: pb.Start(token=long) if kind == "start" else pb.Finalize(id=long)})
    fault = fault_of(message)
    assert fault.reason is Reason.message_too_large
    assert "canary" not in fault.detail


def test_audio_may_be_larger_than_a_text_message() -> None:
    data = bytes(MAX_JSON_BYTES + 1)
    assert decode_client(pb.ClientMessage(audio=data)) == Audio(data)


def test_a_server_message_with_nothing_in_it_is_an_error_for_clients() -> None:
    with pytest.raises(ValueError, match="nothing in it"):
        decode_server(pb.ServerMessage())


def test_a_type_of_message_that_a_later_server_adds_is_passed_over() -> None:
    in_field_1000 = b"\xc2\x3e\x02\x08\x01"
    assert read_server(pb.ServerMessage.FromString(in_field_1000)) is None
    assert read_server(encode_server(Finished(7))) == Finished(7)
