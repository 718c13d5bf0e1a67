"""Promises of the command codec: what it writes by hand is what the library would write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import (
    Decoding,
    Keyword,
    OpenStream,
    ProfanityHandling,
    RedactionKind,
    StreamOptions,
    TextOptions,
)
from engines.proto import engine_pb2
from engines.server.codec import decode_open
from policies.routing_facts import CapacityClass
from regions.links.command_codec import (
    AudioFraming,
    encode_cancel,
    encode_cut,
    encode_hello,
    encode_open,
    encode_ping,
)

pytestmark = pytest.mark.unit

ids = st.integers(1, 2**63)
durations_ms = st.integers(0, 600_000)
names = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
text_options = st.builds(
    TextOptions,
    numerals=st.booleans(),
    punctuation=st.booleans(),
    profanity=st.sampled_from(ProfanityHandling),
    redact=st.lists(st.sampled_from(RedactionKind), max_size=5).map(tuple),
)
options = st.builds(
    StreamOptions,
    model=names,
    model_version=names,
    language=names,
    wants_partials=st.booleans(),
    min_trailing_silence_ms=durations_ms,
    max_silence_without_speech_ms=durations_ms,
    max_utterance_ms=durations_ms,
    decoding=st.sampled_from(Decoding),
    keywords=st.lists(st.builds(Keyword, names, st.integers(-(2**31), 2**31 - 1)), max_size=4).map(tuple),
    text=text_options,
)
openings = st.builds(
    OpenStream,
    session_id=names,
    tenant=names,
    epoch=st.integers(0, 2**32 - 1),
    start_sample=st.integers(0, 2**62),
    options=options,
    tier=names,
    is_replay=st.booleans(),
    classes=st.none() | st.frozensets(st.sampled_from(CapacityClass), min_size=1),
    grant=st.binary(max_size=40),
)


@given(st.lists(st.tuples(ids, st.binary(max_size=300) | st.just(bytes(20_000))), max_size=5))
def test_joined_audio_commands_are_the_message_that_the_library_writes(commands: list[tuple[int, bytes]]) -> None:
    fragments = b"".join(AudioFraming(stream_id).head(len(audio)) + audio for stream_id, audio in commands)
    expected = engine_pb2.ToEngine()
    for stream_id, audio in commands:
        expected.commands.add(stream_id=stream_id, audio=audio)
    assert fragments == expected.SerializeToString()


def test_a_framing_follows_a_change_of_length() -> None:
    framing = AudioFraming(5)
    fragments = b"".join(framing.head(len(audio)) + audio for audio in (b"ab", b"ab", bytes(400), b"", b"abcd"))
    read = engine_pb2.ToEngine.FromString(fragments)
    assert [command.audio for command in read.commands] == [b"ab", b"ab", bytes(400), b"", b"abcd"]


@given(ids, st.integers(0, 2**62))
def test_commands_of_every_kind_join_into_one_message(stream_id: int, at_sample: int) -> None:
    opened = OpenStream(
        session_id="s",
        tenant="t",
        epoch=4,
        start_sample=at_sample,
        options=StreamOptions(model="m", language="en", wants_partials=False, max_utterance_ms=9_000),
    )
    message = engine_pb2.ToEngine.FromString(
        encode_hello("g", heartbeat_interval_ms=500)
        + encode_ping(7)
        + encode_open(stream_id, opened)
        + AudioFraming(stream_id).head(2)
        + b"ab"
        + encode_cut(stream_id, at_sample, is_last=False)
        + encode_cut(stream_id, at_sample, is_last=True)
        + encode_cancel(stream_id)
    )
    assert (message.hello.gateway, message.hello.protocol_version) == ("g", 1)
    assert (message.hello.heartbeat_interval_ms, message.ping.sequence) == (500, 7)
    kinds = [command.WhichOneof("command") for command in message.commands]
    assert kinds == ["open", "audio", "finalize", "finish", "cancel"]
    assert {command.stream_id for command in message.commands} == {stream_id}
    assert decode_open(message.commands[0].open) == opened
    assert message.commands[2].finalize.at_sample == message.commands[3].finish.at_sample == at_sample


@given(ids, openings)
def test_an_engine_reads_of_a_stream_exactly_what_the_gateway_asks_for(stream_id: int, opened: OpenStream) -> None:
    read = engine_pb2.ToEngine.FromString(encode_open(stream_id, opened))
    assert decode_open(read.commands[0].open) == opened


def test_every_option_of_a_stream_crosses_the_link() -> None:
    """An option that the codec forgets would be its default on the other side, and no property might notice."""
    unlike_any_default = StreamOptions(
        model="m",
        model_version="v",
        language="en",
        wants_partials=False,
        min_trailing_silence_ms=1,
        max_silence_without_speech_ms=2,
        max_utterance_ms=3,
        decoding=Decoding.beam,
        keywords=(Keyword("acme", -7),),
        text=TextOptions(
            numerals=True, punctuation=True, profanity=ProfanityHandling.mask, redact=tuple(RedactionKind)
        ),
    )
    for part, standard in ((unlike_any_default, StreamOptions()), (unlike_any_default.text, TextOptions())):
        same = [name for name in part.__struct_fields__ if getattr(part, name) == getattr(standard, name)]
        assert same == [], "give it a value that is not the default"
    opened = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=unlike_any_default)
    assert decode_open(engine_pb2.ToEngine.FromString(encode_open(1, opened)).commands[0].open) == opened


def test_a_stream_that_may_be_on_no_machine_is_not_opened_as_one_that_may_be_on_any() -> None:
    nowhere = OpenStream(
        session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions(), classes=frozenset()
    )
    with pytest.raises(ValueError, match="no machine"):
        encode_open(1, nowhere)
