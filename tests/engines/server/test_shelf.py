"""Promises of the shelf: models that come and go over a real inference thread."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from engines.batching.commands import Outcome
from engines.batching.loop import InferenceLoop
from engines.interface import ModelLoad, OpenStream, RefusalReason, StreamOptions
from engines.recognition.scripted import Script, ScriptedRecogniser
from engines.server.shelf import (
    AlreadyLoaded,
    LastModel,
    LoadedModel,
    ModelShelf,
    ShelvedModel,
    UnknownModel,
    engine_slots,
)
from engines.server.streams import HostedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.unit

DEADLINE_S = 60


class Closing(ScriptedRecogniser):
    """Says when it was shut down."""

    def __init__(self, script: Script, *, max_slots: int) -> None:
        super().__init__(script, max_slots=max_slots)
        self.is_shut_down = threading.Event()

    def shut_down(self) -> None:
        self.is_shut_down.set()


class Sink:
    def send(self, stream_id: int, event: object) -> None:
        """Nobody listens."""

    def ended(self, stream_id: int) -> None:
        """Nobody listens."""


@pytest.fixture
def loop() -> Iterator[InferenceLoop]:
    def ignore(_outcomes: list[Outcome]) -> None:
        """Nobody listens."""

    deaths: list[BaseException] = []
    running = InferenceLoop(deliver=ignore, on_death=deaths.append, idle_turn_ms=5)
    running.start()
    yield running
    assert running.stop(timeout_ms=2_000)
    assert deaths == []


def loaded(name: str = "a", *, blocks: int = 4, slots: int = 4, **script: object) -> LoadedModel:
    recogniser = Closing(Script(model=name, utterance_blocks=blocks, **script), max_slots=slots)  # type: ignore[arg-type]
    return LoadedModel(recogniser, recogniser.rehearse(max_batch=slots), f"/models/{name}")


def shelf_of(loop: InferenceLoop, *models: LoadedModel, busy_permille: int = 800, max_batch: int = 0) -> ModelShelf:
    shelf = ModelShelf(loop, max_batch=max_batch, busy_permille=busy_permille)
    for model in models:
        shelf.add(model)
    return shelf


def chosen(shelf: ModelShelf, session_id: str = "s", **options: str) -> ShelvedModel:
    found = shelf.choose(StreamOptions(**options), session_id)
    assert isinstance(found, ShelvedModel)
    return found


def take_slot(model: ShelvedModel) -> HostedStream:
    opened = OpenStream(session_id="s", tenant="t", epoch=1, start_sample=0, options=StreamOptions())
    stream = HostedStream(Sink(), 1, opened, window_samples=model.window_samples)
    slot = model.table.allocate(stream)
    assert slot is not None
    stream.slot = slot
    return stream


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.002)


def test_the_first_model_is_the_default_and_others_are_asked_for(loop: InferenceLoop) -> None:
    shelf = shelf_of(loop, loaded("a"), loaded("b"))
    assert chosen(shelf).name == "a"
    assert chosen(shelf, model="b").name == "b"
    assert shelf.choose(StreamOptions(model="c"), "s") is RefusalReason.unknown_model


def test_a_version_is_loaded_once(loop: InferenceLoop) -> None:
    shelf = shelf_of(loop, loaded("a"))
    with pytest.raises(AlreadyLoaded):
        shelf.add(loaded("a"))
    assert len(shelf.models) == 1


def test_a_new_version_gets_its_share_and_the_old_one_the_rest(loop: InferenceLoop) -> None:
    shelf = shelf_of(loop, loaded("a"), loaded("b"))
    shelf.add(loaded("a", blocks=5), share_permille=50)
    assert [load.share_permille for load in shelf.loads()] == [950, 1_000, 50]
    shelf.share("a", "scripted-5", 1_000)
    assert [load.share_permille for load in shelf.loads()] == [0, 1_000, 1_000]
    assert {chosen(shelf, str(number)).version for number in range(20)} == {"scripted-5"}
    with pytest.raises(UnknownModel):
        shelf.share("a", "scripted-6", 1)


def test_a_model_goes_with_its_last_stream_and_is_shut_down_on_the_inference_thread(loop: InferenceLoop) -> None:
    old, new = loaded("a"), loaded("a", blocks=5)
    shelf = shelf_of(loop, old)
    shelf.add(new, share_permille=0)
    stream = take_slot(chosen(shelf))
    model = shelf.begin_removal("a", "scripted-4")
    assert shelf.is_loaded(model)
    assert chosen(shelf).version == "scripted-5"
    assert chosen(shelf, model="a", model_version="scripted-4") is model, "who is pinned to it may come back"
    assert shelf.release(stream.slot)
    assert not shelf.is_loaded(model)
    assert not shelf.release(stream.slot)
    assert shelf.owner_of(stream.slot) is None
    assert isinstance(old.recogniser, Closing)
    assert old.recogniser.is_shut_down.wait(DEADLINE_S)
    assert [load.share_permille for load in shelf.loads()] == [1_000]


def test_the_default_passes_to_the_next_model_when_its_name_is_gone(loop: InferenceLoop) -> None:
    shelf = shelf_of(loop, loaded("a"), loaded("b"))
    shelf.begin_removal("a", "scripted-4")
    assert chosen(shelf).name == "b"


def test_the_last_model_stays(loop: InferenceLoop) -> None:
    shelf = shelf_of(loop, loaded("a"))
    with pytest.raises(LastModel):
        shelf.begin_removal("a", "scripted-4")
    with pytest.raises(UnknownModel):
        shelf.begin_removal("a", "scripted-5")
    assert chosen(shelf).name == "a"


def test_no_more_streams_are_taken_than_the_thread_serves_in_time(loop: InferenceLoop) -> None:
    """A step takes 200 ms, whatever is in it, of 500 ms of audio: with four in a step, eight streams fit into 80 %."""
    shelf = shelf_of(loop, loaded("a", slots=40, step_delay_ms=200), loaded("b", slots=40), max_batch=4)
    slow, quick = shelf.models
    assert [load.slots_total for load in shelf.loads()] == [7, 40]
    for _ in range(6):
        assert shelf.has_room(slow)
        take_slot(slow)
    assert shelf.loads()[1].slots_total == 40, "an eighth of the thread is enough for forty quick streams"
    take_slot(slow)
    assert not shelf.has_room(slow)
    assert not shelf.has_room(quick), "what one model uses is not there for the other"


def test_a_model_too_slow_for_real_time_takes_nobody_unless_only_slots_count(loop: InferenceLoop) -> None:
    shelf = shelf_of(loop, loaded("a", step_delay_ms=300))
    assert not shelf.has_room(shelf.models[0])
    assert engine_slots(shelf.loads()) == 0
    careless = shelf_of(loop, loaded("b", step_delay_ms=300), busy_permille=0)
    assert careless.has_room(careless.models[0])
    wait_until(lambda: bool(loop.figures.bays))


def test_an_engine_s_slots_are_what_is_open_and_what_fits_of_one_model() -> None:
    loads = [
        ModelLoad(name="a", version="1", slots_total=10, slots_used=4),
        ModelLoad(name="b", version="1", slots_total=9, slots_used=1),
        ModelLoad(name="c", version="1", slots_total=50, slots_used=2, is_leaving=True),
    ]
    assert engine_slots(loads) == 7 + 8
