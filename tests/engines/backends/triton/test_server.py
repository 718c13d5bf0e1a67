"""What a server has is checked at load, and again at each new stream; a lost one is asked at growing intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engines.backends.triton.server import TritonServer
from engines.errors import BackendFailed, ModelRejected
from tests.fakes.triton import FakeTriton, model_config

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(fake: FakeTriton, clock: Clock) -> Iterator[TritonServer]:
    opened = TritonServer(fake.address, "asr", load_timeout_s=0.0, now_s=clock)
    yield opened
    opened.close(within_s=1.0)


def test_the_newest_version_is_pinned_by_number(server: TritonServer, fake: FakeTriton) -> None:
    fake.version = "10"
    served = server.inspect(max_slots=4)
    assert (served.version_at_server, served.contract.version) == ("10", "00112233aabbccdd")
    assert served.slots == 16


def test_a_model_that_is_not_there_is_refused_in_the_servers_words(fake: FakeTriton) -> None:
    other = TritonServer(fake.address, "nope", load_timeout_s=0.0)
    with pytest.raises(ModelRejected, match="NOT_FOUND, Request for unknown model: 'nope' is not found"):
        other.inspect(max_slots=1)
    other.close(within_s=0.0)


def test_a_server_that_is_not_there_is_a_refusal_too(fake: FakeTriton, server: TritonServer) -> None:
    fake.stop()
    with pytest.raises(ModelRejected, match="does not offer it: UNAVAILABLE"):
        server.inspect(max_slots=1)


def test_a_stream_is_kept_for_as_long_as_it_lives(server: TritonServer, fake: FakeTriton) -> None:
    server.inspect(max_slots=1)
    assert server.live_stream is None
    stream = server.open_stream()
    assert server.open_stream() is stream is server.live_stream
    assert fake.questions == 2


def test_a_lost_server_is_asked_at_intervals_that_double_up_to_five_seconds(
    server: TritonServer, fake: FakeTriton, clock: Clock
) -> None:
    server.inspect(max_slots=1)
    fake.stop()
    pauses_s = []
    for _ in range(8):
        with pytest.raises(BackendFailed, match="cannot be reached"):
            server.open_stream()
        with pytest.raises(BackendFailed, match="it is asked again in") as refused:
            server.open_stream()
        pauses_s.append(float(str(refused.value).split()[-2]))
        clock.now_s += pauses_s[-1] + 0.1
    assert pauses_s == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_step_that_went_through_makes_the_next_loss_the_first(
    server: TritonServer, fake: FakeTriton, clock: Clock
) -> None:
    server.inspect(max_slots=1)
    first = server.open_stream()
    server.answered()
    server.give_up_stream()
    assert server.open_stream() is not first
    server.give_up_stream()
    with pytest.raises(BackendFailed, match=r"asked again in 0\.1 s"):
        server.open_stream()
    clock.now_s += 0.2
    server.open_stream()


def test_no_stream_is_opened_to_another_model_than_the_one_that_was_checked(
    server: TritonServer, fake: FakeTriton
) -> None:
    server.inspect(max_slots=1)
    fake.config = model_config(model_digest="ffffffffffffffff")
    with pytest.raises(BackendFailed, match="is another model now: 'ffffffffffffffff', not '00112233aabbccdd'"):
        server.open_stream()
    assert fake.streams == 0


def test_no_stream_is_opened_to_a_model_that_was_not_checked(server: TritonServer) -> None:
    with pytest.raises(BackendFailed, match="was not inspected"):
        server.open_stream()


def test_a_closed_connection_stays_closed(server: TritonServer) -> None:
    server.inspect(max_slots=1)
    server.open_stream()
    server.close(within_s=1.0)
    with pytest.raises(BackendFailed, match="was closed"):
        server.open_stream()
