"""What is sent of a recording: told apart by its first bytes, in whole samples, at the pace of speech."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.recording import (
    DATAGRAM_PIECE_MS,
    MAX_PIECE_BYTES,
    InputLost,
    Recording,
    UnknownRecording,
    from_stdin,
    paced,
    read_recording,
)
from gateway.wire.messages import AudioSpec
from policies.facts import AudioEncoding
from tests.harness.recordings import path_of, pcm_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

pytestmark = pytest.mark.unit

RAW = [encoding for encoding in AudioEncoding if encoding.is_raw]
SECOND = AudioSpec("pcm_s16le", 8_000, 2)
"""32,000 bytes a second."""


class _SkippingSelector(selectors.SelectSelector):
    """Where nothing is to be read, waiting takes no time: the loop's clock is set on."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout:
            self.now_s += timeout
        return events


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock runs only while everybody sleeps, and then at once."""

    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now_s


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(work)


async def pieces_with_times(recording: Recording, speed: float, *, taking_s: float = 0.0) -> list[tuple[bytes, float]]:
    """Each piece with the time at which it came, for a gateway that takes so long over each."""
    heard = []
    async for piece in paced(recording, speed):
        heard.append((piece, asyncio.get_running_loop().time()))
        await asyncio.sleep(taking_s)
    return heard


def raw_file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "audio.raw"
    path.write_bytes(data)
    return path


# --- what a file is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        (b"RIFF\x00\x00", "wav"),
        (b"fLaC\x00\x00", "flac"),
        (b"OggS\x00\x00", "ogg_opus"),
        (b"\x1a\x45\xdf\xa3\x00", "webm_opus"),
        (b"ID3\x04\x00", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xe3\x18\xc4", "mp3"),
    ],
)
def test_a_file_is_told_by_its_first_bytes_and_not_by_its_name(tmp_path: Path, head: bytes, encoding: str) -> None:
    assert read_recording(raw_file(tmp_path, head), None).audio.encoding == encoding


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\x1f", b"RIF", b"Dear maintainers", b"\x00" * 64])
def test_a_file_that_does_not_say_what_it_is_is_refused_with_the_remedy(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnknownRecording, match="--encoding"):
        read_recording(raw_file(tmp_path, data), None)


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "none.wav", None)
    with pytest.raises(IsADirectoryError):
        read_recording(tmp_path, None)


def test_what_is_no_regular_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    keeper = os.open(tmp_path / "pipe", os.O_RDWR)
    with pytest.raises(UnknownRecording, match="patchbay transcribe -"):
        read_recording(tmp_path / "pipe", SECOND)
    os.close(keeper)


def test_a_recordings_duration_is_known_from_its_container() -> None:
    recording = read_recording(path_of("timer_rms.wav"), None)
    assert recording.duration_ms == len(pcm_of("timer_rms.wav")) // 32


@pytest.mark.parametrize("data", [b"OggS" + bytes(1_000), b"ID3", b"\x1a\x45\xdf\xa3" + bytes(8)])
def test_a_broken_container_has_no_duration_and_is_left_to_the_gateway(tmp_path: Path, data: bytes) -> None:
    assert read_recording(raw_file(tmp_path, data), None).duration_ms is None


# --- pieces -----------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(RAW), st.integers(1, 8), st.integers(8_000, 48_000), st.integers(0, 40_000), st.integers(0, 10**9)
)
def test_a_piece_of_raw_audio_is_whole_samples_of_every_channel(
    encoding: AudioEncoding, channels: int, rate: int, num_samples: int, duration_ms: int
) -> None:
    instant = encoding.bytes_per_sample * channels
    audio = AudioSpec(encoding.value, rate, channels)
    recording = Recording(audio, None, num_samples * instant, duration_ms or None)  # type: ignore[arg-type]
    assert recording.piece_bytes % instant == 0
    assert 0 < recording.piece_bytes <= MAX_PIECE_BYTES


def test_the_pieces_are_the_file_and_half_a_sample_at_its_end_is_left_out(tmp_path: Path) -> None:
    data = bytes(range(256)) * 500
    recording = read_recording(raw_file(tmp_path, data + b"abc"), SECOND)
    pieces = [piece for piece, _ in run(pieces_with_times(recording, 0))]
    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces[:-1]} == {3_200}


def test_pieces_for_datagrams_are_shorter(tmp_path: Path) -> None:
    recording = replace(read_recording(raw_file(tmp_path, bytes(32_000)), SECOND), piece_ms=DATAGRAM_PIECE_MS)
    assert {len(piece) for piece, _ in run(pieces_with_times(recording, 0))} == {640}


def test_a_piece_is_small_however_short_the_file_says_it_is(tmp_path: Path) -> None:
    recording = Recording(AudioSpec("wav"), raw_file(tmp_path, bytes(1_000_000)), 1_000_000, 1)
    assert max(len(piece) for piece, _ in run(pieces_with_times(recording, 0))) == MAX_PIECE_BYTES


def test_a_file_is_sent_as_it_was_when_it_was_looked_at(tmp_path: Path) -> None:
    path = raw_file(tmp_path, bytes(6_400))
    recording = read_recording(path, SECOND)
    with path.open("ab") as file:
        file.write(b"later" * 4)
    assert sum(len(piece) for piece, _ in run(pieces_with_times(recording, 0))) == 6_400


def test_a_file_that_shrinks_or_goes_while_it_is_sent_is_not_taken_for_its_end(tmp_path: Path) -> None:
    path = raw_file(tmp_path, bytes(6_400))
    recording = read_recording(path, SECOND)
    path.write_bytes(bytes(3_200))
    with pytest.raises(InputLost, match="shorter"):
        run(pieces_with_times(recording, 0))
    path.unlink()
    with pytest.raises(InputLost, match="No such file"):
        run(pieces_with_times(recording, 0))


# --- the pace -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_a_recording_comes_as_fast_as_it_was_spoken_times_the_speed(tmp_path: Path, speed: float) -> None:
    recording = read_recording(raw_file(tmp_path, bytes(32_000)), SECOND)
    assert recording.duration_ms == 1_000
    times_s = [at_s for _, at_s in run(pieces_with_times(recording, speed))]
    assert times_s == pytest.approx([number * 0.1 / speed for number in range(10)])


def test_at_speed_0_nothing_waits(tmp_path: Path) -> None:
    recording = read_recording(raw_file(tmp_path, bytes(320_000)), SECOND)
    assert {at_s for _, at_s in run(pieces_with_times(recording, 0))} == {0.0}


def test_what_a_slow_gateway_cost_is_caught_up(tmp_path: Path) -> None:
    """The pace is that of the recording, not of the last piece."""
    recording = read_recording(raw_file(tmp_path, bytes(32_000)), SECOND)
    times_s = [at_s for _, at_s in run(pieces_with_times(recording, 1.0, taking_s=0.09))]
    assert times_s == pytest.approx([number * 0.1 for number in range(10)])


def test_a_file_of_unknown_duration_is_not_paced(tmp_path: Path) -> None:
    recording = read_recording(raw_file(tmp_path, b"OggS" + bytes(200_000)), None)
    assert recording.duration_ms is None
    assert {at_s for _, at_s in run(pieces_with_times(recording, 1.0))} == {0.0}


# --- standard input -----------------------------------------------------------------------------------------------


async def all_of(pieces: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in pieces]


@given(st.lists(st.binary(max_size=9), max_size=8))
def test_standard_input_is_cut_into_whole_samples_wherever_it_was_cut_before(chunks: list[bytes]) -> None:
    reading, writing = os.pipe()
    for chunk in chunks:
        os.write(writing, chunk)
    os.close(writing)
    pieces = asyncio.run(all_of(from_stdin(SECOND, reading)))
    os.close(reading)
    data = b"".join(chunks)
    assert b"".join(pieces) == data[: len(data) // 4 * 4]
    assert all(piece and len(piece) % 4 == 0 for piece in pieces)


def test_standard_input_comes_while_more_is_still_to_come() -> None:
    async def first(descriptor: int) -> bytes:
        async with asyncio.timeout(60):
            return await anext(aiter(from_stdin(SECOND, descriptor)))

    reading, writing = os.pipe()
    os.write(writing, b"abcdef")
    assert asyncio.run(first(reading)) == b"abcd"
    os.close(writing)
    _wait_for_the_reader()
    os.close(reading)


def test_nobody_waits_for_a_standard_input_that_says_nothing() -> None:
    """asyncio.run would wait for a thread of its own until the user types."""

    async def give_up(descriptor: int) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(aiter(from_stdin(SECOND, descriptor)))

    reading, writing = os.pipe()
    asyncio.run(give_up(reading))
    os.write(writing, b"at last")
    _wait_for_the_reader()
    for descriptor in (reading, writing):
        os.close(descriptor)


def _wait_for_the_reader() -> None:
    for thread in threading.enumerate():
        if thread.name == "stdin":
            thread.join(10)


def test_a_standard_input_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(InputLost, match="Is a directory"):
        asyncio.run(all_of(from_stdin(SECOND, folder)))
    os.close(folder)


def test_a_huge_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """8 GiB with a hole: reading it whole would take minutes, or the machine."""
    path = raw_file(tmp_path, b"")
    os.truncate(path, 8 * 2**30)

    async def first() -> bytes:
        return await anext(aiter(paced(read_recording(path, SECOND), 0)))

    assert run(first()) == bytes(3_200)
