"""A session's version: bound by a grant while audio is held, and never another than the client allows."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.interface import Granted, Keyword, StreamOptions
from gateway.session.origin import SessionOrigin
from gateway.session.version_pin import VersionPin

pytestmark = pytest.mark.unit

WISH = StreamOptions(language="en", keywords=(Keyword("acme"),))


def asking(wish: StreamOptions, model: str, version: str) -> StreamOptions:
    return msgspec.structs.replace(wish, model=model, model_version=version)


def granted(version: str, model: str = "m") -> Granted:
    return Granted(1, model, version, 80_000)


def test_the_first_engine_is_asked_for_what_the_client_wishes() -> None:
    assert VersionPin(WISH, SessionOrigin()).options(held_samples=0) == WISH
    assert VersionPin(WISH, SessionOrigin()).options(held_samples=9) == WISH


def test_held_audio_goes_to_the_version_that_was_granted() -> None:
    pin = VersionPin(WISH, SessionOrigin())
    pin.granted(granted("v1"))
    assert pin.options(held_samples=1) == asking(WISH, "m", "v1")


def test_a_session_that_holds_nothing_may_go_to_another_version_of_its_model() -> None:
    pin = VersionPin(WISH, SessionOrigin())
    pin.granted(granted("v1"))
    assert pin.options(held_samples=0) == asking(WISH, "m", "")
    assert pin.options(held_samples=5) == asking(WISH, "m", ""), "no engine has heard this audio"
    assert pin.admits(granted("v2"))
    pin.granted(granted("v2"))
    assert pin.version == "v2"
    assert pin.options(held_samples=5) == asking(WISH, "m", "v2")


def test_a_version_that_the_client_asked_for_is_never_let_go() -> None:
    wish = asking(WISH, "", "v1")
    pin = VersionPin(wish, SessionOrigin())
    pin.granted(granted("v1"))
    assert pin.options(held_samples=0) == asking(WISH, "m", "v1")
    assert not pin.admits(granted("v2"))


@pytest.mark.parametrize("wrong", [granted("v2"), granted("v1", model="other"), granted("")])
def test_an_engine_that_grants_something_else_is_not_admitted(wrong: Granted) -> None:
    pin = VersionPin(WISH, SessionOrigin())
    pin.granted(granted("v1"))
    pin.options(held_samples=1)
    assert pin.admits(granted("v1"))
    assert not pin.admits(wrong)


@given(st.lists(st.tuples(st.sampled_from(["v1", "v2", "v3"]), st.integers(0, 2)), max_size=8))
def test_what_is_held_is_only_ever_asked_of_one_version(moves: list[tuple[str, int]]) -> None:
    pin = VersionPin(WISH, SessionOrigin())
    heard_by = ""
    for version, held_samples in moves:
        asked = pin.options(held_samples=held_samples)
        if held_samples == 0:
            heard_by = ""
        if pin.admits(granted(version)):
            assert heard_by in ("", version)
            pin.granted(granted(version))
            heard_by = version
        else:
            assert asked.model_version == heard_by


def test_a_resumed_session_asks_for_what_heard_it_until_an_engine_is_found() -> None:
    pin = VersionPin(WISH, SessionOrigin(is_resumed=True, model="m", model_version="v3"))
    assert pin.options(held_samples=0) == asking(WISH, "m", "v3")
    assert not pin.admits(granted("v4"))
    pin.granted(granted("v3"))
    assert pin.options(held_samples=0) == asking(WISH, "m", "")


def test_a_standby_is_asked_for_the_version_that_heard_the_audio_and_the_pin_stays() -> None:
    pin = VersionPin(WISH, SessionOrigin())
    pin.granted(granted("v1"))
    assert pin.standby_options(held_samples=1) == asking(WISH, "m", "v1")
    assert pin.standby_options(held_samples=0) == asking(WISH, "m", "")
    assert pin.options(held_samples=1) == asking(WISH, "m", "v1")


@pytest.mark.parametrize(
    ("version", "has_heard", "is_admitted"), [("v1", True, True), ("v2", True, False), ("v2", False, True)]
)
def test_a_standby_of_another_version_is_for_audio_that_nobody_heard(
    version: str, has_heard: bool, is_admitted: bool
) -> None:
    pin = VersionPin(WISH, SessionOrigin())
    pin.granted(granted("v1"))
    assert pin.admits_standby(granted(version), has_heard=has_heard) is is_admitted
    assert not pin.admits_standby(granted(version, model="other"), has_heard=has_heard)
