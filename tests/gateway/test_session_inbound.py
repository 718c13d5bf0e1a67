"""A client's messages on their way to its machine: in order, and no more than there is room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.interface import GapExtent
from gateway.errors import ClientFault, Reason
from gateway.session_inbound import SessionInbound
from gateway.wire.messages import Audio, Finalize, Finish, Gap, KeepAlive, Start
from policies.facts import AudioEncoding, AudioFormat

pytestmark = pytest.mark.unit

PCM = AudioFormat(AudioEncoding.pcm_s16le, 16_000, 1, 0)
SECOND = 32_000


class Sink:
    """Takes `room` seconds of audio, then no more until told."""

    def __init__(self, room: int = 1_000) -> None:
        self.room = room
        self.got: list[str | bytes] = []

    def has_room(self) -> bool:
        return self.room > 0

    def audio(self, pcm16: bytes) -> None:
        self.room -= 1
        self.got.append(pcm16)

    def lost(self, extent: GapExtent) -> None:
        self.got.append(f"lost {extent.num_samples}")

    def finalize(self, request_id: str) -> None:
        self.got.append(f"finalize {request_id}")

    def finish(self) -> None:
        self.got.append("finish")

    def keepalive(self) -> None:
        self.got.append("keepalive")


class PassThrough:
    """A decoder of audio that needs no decoding; `pending_bytes` is the test's."""

    is_inline = True

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.pending_bytes = 0
        self.is_paused = False
        self.is_closed = False

    def feed(self, data: bytes) -> None:
        self._sink.audio(data)

    def extent_of_gap(self, samples: int) -> GapExtent:
        return GapExtent(0, samples)

    def feed_silence(self, samples: int) -> None:
        self._sink.audio(bytes(2 * samples))

    def mark(self, on_reached: object) -> None:
        on_reached()  # type: ignore[operator]

    def finish(self, on_finished: object) -> None:
        on_finished()  # type: ignore[operator]

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True


def make(
    room: int = 1_000, audio: AudioFormat = PCM, max_waiting_bytes: int = 1_000_000
) -> tuple[Sink, SessionInbound]:
    sink = Sink(room)
    return sink, SessionInbound(audio, PassThrough(sink), sink, max_waiting_bytes=max_waiting_bytes)


def test_messages_reach_the_machine_in_order() -> None:
    sink, inbound = make()
    for message in (Audio(b"aa"), Finalize("x"), Audio(b"bb"), KeepAlive(), Finish()):
        inbound.accept(message)
    assert sink.got == [b"aa", "finalize x", b"bb", "keepalive", "finish"]


def test_without_room_everything_waits_its_turn() -> None:
    sink, inbound = make(room=0)
    for message in (Audio(b"aa"), Finalize("x"), Audio(b"bb")):
        inbound.accept(message)
    assert sink.got == []
    assert inbound.is_waiting
    assert inbound.waiting_bytes == 4
    sink.room = 1
    inbound.go_on()
    assert sink.got == [b"aa"]
    sink.room = 9
    inbound.go_on()
    assert sink.got == [b"aa", "finalize x", b"bb"]
    assert not inbound.is_waiting


def test_a_long_message_of_raw_audio_is_taken_a_second_at_a_time() -> None:
    sink, inbound = make(room=2)
    inbound.accept(Audio(bytes(3 * SECOND + 2)))
    inbound.accept(Finalize("x"))
    assert [len(piece) for piece in sink.got] == [SECOND, SECOND]
    sink.room = 9
    inbound.go_on()
    assert [piece if isinstance(piece, str) else len(piece) for piece in sink.got] == [
        SECOND,
        SECOND,
        SECOND,
        2,
        "finalize x",
    ]


def test_a_misaligned_message_is_not_cut_before_it_is_refused() -> None:
    sink, inbound = make()
    inbound.accept(Audio(bytes(3 * SECOND + 1)))
    assert [len(piece) for piece in sink.got] == [3 * SECOND + 1]


def test_encoded_messages_are_never_cut() -> None:
    sink, inbound = make(audio=AudioFormat(AudioEncoding.opus, 48_000, 1, 0))
    inbound.accept(Audio(bytes(200_000)))
    assert [len(piece) for piece in sink.got] == [200_000]


def shape(got: list[str | bytes]) -> list[str | int]:
    return [piece if isinstance(piece, str) else len(piece) for piece in got]


def test_a_gap_is_told_whole_and_silent_a_second_at_a_time() -> None:
    sink, inbound = make(room=2)
    inbound.accept(Gap(40_000))
    inbound.accept(Audio(b"aa"))
    assert shape(sink.got) == ["lost 40000", SECOND, SECOND]
    assert inbound.is_waiting
    sink.room = 9
    inbound.go_on()
    assert shape(sink.got) == ["lost 40000", SECOND, SECOND, 16_000, 2]


def test_a_gap_keeps_its_place_among_what_waits() -> None:
    sink, inbound = make(room=0)
    for message in (Audio(b"aa"), Gap(1), Audio(b"bb"), Gap(2), Finish()):
        inbound.accept(message)
    sink.room = 9
    inbound.go_on()
    assert sink.got == [b"aa", "lost 1", bytes(2), b"bb", "lost 2", bytes(4), "finish"]


@pytest.mark.parametrize("samples", [-1, 0, 60 * 16_000 + 1, 2**70])
def test_a_gap_of_no_length_or_of_more_than_a_minute_is_refused(samples: int) -> None:
    sink, inbound = make()
    with pytest.raises(ClientFault, match="1 to 960000 samples") as fault:
        inbound.accept(Gap(samples))
    assert fault.value.reason is Reason.malformed_message
    assert sink.got == []


def test_a_gap_of_a_minute_is_taken() -> None:
    sink, inbound = make()
    inbound.accept(Gap(60 * 16_000))
    assert shape(sink.got) == ["lost 960000", *[SECOND] * 60]


def test_nothing_follows_a_finish() -> None:
    _, inbound = make()
    inbound.accept(Finish())
    with pytest.raises(ClientFault) as fault:
        inbound.accept(Audio(b"aa"))
    assert fault.value.reason is Reason.unexpected_message


def test_a_keepalive_may_follow_a_finish_while_the_last_words_come() -> None:
    sink, inbound = make()
    inbound.accept(Finish())
    inbound.accept(KeepAlive())
    assert sink.got == ["finish"]


def test_a_second_start_is_refused() -> None:
    _, inbound = make()
    with pytest.raises(ClientFault) as fault:
        inbound.accept(Start())
    assert fault.value.reason is Reason.unexpected_message


def test_a_client_that_ignores_flow_control_is_sent_away() -> None:
    _, inbound = make(room=0, max_waiting_bytes=6_400)
    inbound.accept(Audio(bytes(6_400)))
    with pytest.raises(ClientFault) as fault:
        inbound.accept(Audio(bytes(2)))
    assert fault.value.reason is Reason.client_too_slow


def test_messages_without_bytes_are_bounded_too() -> None:
    _, inbound = make(room=0, max_waiting_bytes=6_400)
    for number in range(100):
        inbound.accept(Finalize(str(number)))
    with pytest.raises(ClientFault):
        inbound.accept(Finalize("one too many"))


def test_a_decoder_that_is_behind_holds_the_transport_back() -> None:
    sink = Sink()
    decoder = PassThrough(sink)
    inbound = SessionInbound(PCM, decoder, sink, max_waiting_bytes=100)
    decoder.pending_bytes = 51
    assert inbound.is_waiting
    inbound.accept(Audio(b"aa"))
    assert sink.got == []
    decoder.pending_bytes = 50
    inbound.go_on()
    assert sink.got == [b"aa"]


def test_a_full_session_pauses_its_decoder_and_a_closed_one_frees_it() -> None:
    sink = Sink()
    decoder = PassThrough(sink)
    inbound = SessionInbound(PCM, decoder, sink, max_waiting_bytes=100)
    inbound.hold(True)
    assert decoder.is_paused
    inbound.hold(False)
    assert not decoder.is_paused
    inbound.close()
    assert decoder.is_closed
    assert inbound.waiting_bytes == 0


@given(st.lists(st.integers(1, 4 * SECOND // 2), max_size=8), st.lists(st.integers(0, 3), max_size=30))
def test_no_byte_is_lost_or_moved_however_room_comes(sizes: list[int], rooms: list[int]) -> None:
    sink, inbound = make(room=0, max_waiting_bytes=10**9)
    sent = b""
    for number, size in enumerate(sizes):
        data = bytes([number]) * (2 * size)
        sent += data
        inbound.accept(Audio(data))
        if rooms:
            sink.room = rooms.pop()
            inbound.go_on()
    sink.room = 10**6
    inbound.go_on()
    assert b"".join(piece for piece in sink.got if isinstance(piece, bytes)) == sent


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 40_000)), max_size=10),
    st.lists(st.integers(0, 3), max_size=30),
)
def test_gaps_and_audio_keep_their_order_and_length_however_room_comes(
    parts: list[tuple[bool, int]], rooms: list[int]
) -> None:
    sink, inbound = make(room=0, max_waiting_bytes=10**9)
    expected, told = b"", []
    for is_gap, samples in parts:
        if is_gap:
            expected += bytes(2 * samples)
            told.append(f"lost {samples}")
            inbound.accept(Gap(samples))
        else:
            expected += b"\x01" * (2 * samples)
            inbound.accept(Audio(b"\x01" * (2 * samples)))
        if rooms:
            sink.room = rooms.pop()
            inbound.go_on()
    sink.room = 10**6
    inbound.go_on()
    assert b"".join(piece for piece in sink.got if isinstance(piece, bytes)) == expected
    assert [piece for piece in sink.got if isinstance(piece, str)] == told
    assert all(len(piece) <= SECOND for piece in sink.got if isinstance(piece, bytes))
