"""What a session is and where it begins: at nought, or where another gateway left it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engines.interface import LossReason, Lost, Progress, RefusalReason, Refused
from gateway.errors import Reason
from gateway.session.alarm import Alarm
from gateway.session.effects import CloseClient, Committed, OpenEngine, SendAudio
from gateway.session.origin import SessionOrigin
from gateway.session.state import SessionState
from gateway.wire.messages import Ack
from tests.fakes.quota import unlimited_quota
from tests.fakes.sessions import IDENTITY, LIMITS, PCM_100_MS, begun, final, granted, next_effects, told

pytestmark = pytest.mark.unit

ORIGIN = SessionOrigin(True, 16_000, 7, 16_000, 17_600, "m", "v3")


def of(**identity: Any) -> SessionState:
    return SessionState(replace(IDENTITY, **identity), LIMITS, unlimited_quota(), Alarm(0))


def points(effects: list[Any]) -> list[Committed]:
    return [effect for effect in effects if isinstance(effect, Committed)]


def test_a_new_session_says_so_to_its_engine_and_names_its_tier() -> None:
    stream = of(tier="premium").next_stream(IDENTITY.options)
    assert (stream.epoch, stream.start_sample, stream.tier, stream.is_replay) == (1, 0, "premium", False)


def test_a_resumed_session_goes_on_at_its_sample_above_its_epoch() -> None:
    stream = of(origin=ORIGIN).next_stream(IDENTITY.options)
    assert (stream.epoch, stream.start_sample, stream.is_replay) == (8, 16_000, True)


def test_a_resumed_session_asks_for_what_heard_its_audio_first_even_before_audio_comes() -> None:
    machine = begun(origin=ORIGIN)
    machine.engine_event(Lost(8, LossReason.link_lost), 0)
    (opened,) = [effect for effect in next_effects(machine) if isinstance(effect, OpenEngine)]
    assert (opened.stream.options.model, opened.stream.options.model_version) == ("m", "v3")


def test_a_resumed_client_is_told_where_it_goes_on_and_gets_the_finals_from_there() -> None:
    machine = begun(origin=ORIGIN, resume_token="secret", resume_at=("wss://b",))
    (started,) = told(machine.engine_event(granted(8, version="v3"), 10, "there"))
    assert (started.resumed_from_sample, started.resume_token, started.resume_at) == (16_000, "secret", ("wss://b",))
    assert (started.region, started.engine_region) == ("here", "there")
    assert machine.client_audio(PCM_100_MS, 20) == [SendAudio(PCM_100_MS)]
    effects = told(machine.engine_event(final(16_000, 17_600, "on", epoch=8), 30))
    assert (effects[0].start_ms, effects[-1]) == (1_000, Ack(1_100, sample=17_600))
    assert machine.recognised_samples == 1_600


def test_a_session_that_begins_anew_is_not_called_resumed() -> None:
    (started,) = told(begun().engine_event(granted(1), 10, "here"))
    assert (started.resumed_from_sample, started.engine_region, started.resume_token) == (None, "", "")


def test_a_session_resumed_at_its_very_beginning_is_called_resumed() -> None:
    (started,) = told(begun(origin=SessionOrigin(is_resumed=True)).engine_event(granted(1), 10, "here"))
    assert started.resumed_from_sample == 0


def test_a_resumed_session_waits_for_its_version_as_long_as_for_a_first_engine_and_is_told_why_in_vain() -> None:
    machine = begun(origin=ORIGIN)
    assert machine.engine_event(Refused(8, RefusalReason.unknown_model), 10) == []
    while not machine.is_closed:
        assert machine.due_ms <= LIMITS.opening_ms
        effects = next_effects(machine)
        if isinstance(effects[0], OpenEngine):
            refusal = Refused(effects[0].stream.epoch, RefusalReason.unknown_model)
            effects = machine.engine_event(refusal, machine.due_ms)
    assert effects[-1] == CloseClient(Reason.engine_unavailable)
    assert "version" in told(effects)[-1].message


def test_what_another_gateway_charged_is_not_charged_again() -> None:
    machine = begun(origin=ORIGIN)
    machine.engine_event(granted(8, version="v3"), 0)
    machine.client_audio(PCM_100_MS * 3, 10)
    machine.engine_event(Progress(8, 17_600, 90), 20)
    assert (machine.used_so_far().compute_us, machine.used_so_far().audio_ms) == (0, 0)
    machine.engine_event(Progress(8, 19_200, 60), 30)
    assert (machine.used_so_far().compute_us, machine.used_so_far().audio_ms) == (60, 100)
    assert machine.compute_us == 150


def test_each_final_and_each_grant_of_a_session_that_can_be_resumed_is_a_commit_point() -> None:
    machine = begun(resume_token="secret")
    assert points(machine.engine_event(granted(1), 0)) == [Committed(0, 0, 1, "m", "v1")]
    machine.client_audio(PCM_100_MS * 2, 10)
    machine.engine_event(Progress(1, 2_400, 5), 20)
    assert points(machine.engine_event(final(0, 1_600), 30)) == [Committed(1_600, 2_400, 1, "m", "v1")]
    machine.engine_event(Lost(1, LossReason.link_lost), 40)
    assert points(machine.engine_event(granted(2), 50)) == [Committed(1_600, 2_400, 2, "m", "v1")]


def test_a_session_that_cannot_be_resumed_has_no_commit_points() -> None:
    machine = begun()
    effects = machine.engine_event(granted(1), 0)
    machine.client_audio(PCM_100_MS, 10)
    assert points(effects + machine.engine_event(final(0, 1_600, "yes"), 30)) == []
