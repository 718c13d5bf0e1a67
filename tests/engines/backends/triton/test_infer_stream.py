"""A stream gives answers, or says in time that none came, or why it is over; it leaves no thread behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest

from engines.backends.triton.infer_stream import AnswerLate, InferStream, StreamLost
from engines.proto import kserve_pb2 as kserve
from engines.proto.kserve_pb2_grpc import GRPCInferenceServiceStub
from tests.fakes.triton import FEATURES, WINDOW, FakeTriton, Mood
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stream(fake: FakeTriton) -> Iterator[InferStream]:
    with grpc.insecure_channel(fake.address) as channel:
        opened = InferStream(GRPCInferenceServiceStub(channel))  # type: ignore[no-untyped-call]
        yield opened
        opened.close(within_s=1.0)


def request(number: int) -> kserve.ModelInferRequest:
    made = kserve.ModelInferRequest(id=str(number), raw_input_contents=[bytes(4 * FEATURES * WINDOW)])
    made.parameters["sequence_id"].int64_param = number
    made.parameters["sequence_start"].bool_param = True
    return made


def soon_s(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_what_is_sent_is_answered(stream: InferStream) -> None:
    for number in (1, 2, 3):
        stream.send(request(number))
    assert [stream.receive(until_s=soon_s()).infer_response.id for _ in range(3)] == ["1", "2", "3"]


def test_an_answer_that_does_not_come_is_late(stream: InferStream, fake: FakeTriton) -> None:
    fake.mood = Mood.silent
    stream.send(request(1))
    with pytest.raises(AnswerLate):
        stream.receive(until_s=soon_s(0.05))
    with pytest.raises(AnswerLate):
        stream.receive(until_s=soon_s(-1))
    assert not stream.is_over


def test_a_stream_that_the_server_ends_is_lost_for_good(stream: InferStream, fake: FakeTriton) -> None:
    fake.mood = Mood.ends_stream
    stream.send(request(1))
    for _ in range(2):
        with pytest.raises(StreamLost, match="the server ended the stream"):
            stream.receive(until_s=soon_s())
    assert stream.is_over


def test_a_server_that_goes_away_says_how(stream: InferStream, fake: FakeTriton) -> None:
    stream.send(request(1))
    stream.receive(until_s=soon_s())
    fake.stop()
    with pytest.raises(StreamLost, match=r"UNAVAILABLE|CANCELLED"):
        stream.receive(until_s=soon_s())


def test_a_closed_stream_has_sent_everything_and_leaves_no_thread(fake: FakeTriton) -> None:
    threads_before = set(threading.enumerate())
    with grpc.insecure_channel(fake.address) as channel:
        stream = InferStream(GRPCInferenceServiceStub(channel))  # type: ignore[no-untyped-call]
        for number in range(1, 21):
            stream.send(request(number))
        stream.close(within_s=5.0)
        assert stream.is_over
    assert len(fake.begun) == 20

    def ours() -> set[threading.Thread]:
        return {
            thread for thread in threading.enumerate() if thread not in threads_before and "Pool" not in thread.name
        }

    until_sync(lambda: not ours(), what="the end of the stream's threads")
