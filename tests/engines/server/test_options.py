"""Promises of the engine's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.contract import BackendKind, BackendSettings
from engines.recognition.scripted import Script
from engines.server.options import EMBEDDED_MODEL, BadOptions, parse_options
from policies.routing_facts import CapacityClass

pytestmark = pytest.mark.unit


def test_an_empty_command_line_serves_the_embedded_model_on_any_local_port() -> None:
    options = parse_options([])
    assert (options.listen, options.models, options.recogniser) == ("127.0.0.1:0", (EMBEDDED_MODEL,), "ctc")
    assert options.backend == BackendSettings(kind=BackendKind.onnx, max_slots=32, threads=1)
    assert (options.max_batch, options.busy_permille, options.model_folders) == (0, 800, ())
    assert options.replay_share_permille == 250


def test_models_are_named_once_each_the_default_first() -> None:
    options = parse_options(["--model", "b", "--model", "a", "--model-folder", "/models"])
    assert options.models == (Path("b"), Path("a"))
    assert options.model_folders == (Path("/models"),)


def test_a_backend_is_chosen_by_its_name() -> None:
    options = parse_options(["--backend", "triton", "--triton", "127.0.0.1:8001", "--slots", "7", "--threads", "0"])
    assert options.backend == BackendSettings(kind=BackendKind.triton, max_slots=7, threads=0, server="127.0.0.1:8001")


def test_silence_is_skipped_unless_the_models_are_to_hear_it() -> None:
    assert parse_options([]).skips_silence
    assert not parse_options(["--hear-silence"]).skips_silence


def test_a_script_is_read_from_pairs() -> None:
    options = parse_options(["--script", "step_delay_ms=20,utterance_blocks=2"])
    assert options.script == Script(step_delay_ms=20, utterance_blocks=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--slots", "0"], "must be 1 to 10000"),
        (["--slots", "many"], "must be 1 to 10000"),
        (["--listen", "tcp"], "unix:/path or host:port"),
        (["--listen", "127.0.0.1:70000"], "unix:/path or host:port"),
        (["--listen", "unix:"], "unix:/path or host:port"),
        (["--recogniser", "other"], "invalid choice"),
        (["--backend", "abacus"], "invalid choice"),
        (["--busy-permille", "1001"], "must be 0 to 1000"),
        (["--replay-share-permille", "0"], "must be 1 to 1000"),
        (["--script", "speed=1"], "speed"),
        (["--script", "utterance_blocks=0"], "utterance_blocks"),
        (["--slot", "3"], "unrecognized"),
    ],
)
def test_a_bad_option_says_what_was_expected(arguments: list[str], says: str) -> None:
    with pytest.raises(BadOptions, match=says):
        parse_options(arguments)


REGISTERED = ["--register", "redis://:hidden@r:6379/0", "--region", "eu-west", "--listen", "10.0.0.1:7"]


def test_an_engine_that_registers_says_what_gateways_dial_and_hides_the_password() -> None:
    options = parse_options([*REGISTERED, "--register", "unix:///r.sock", "--capacity", "spot", "--zone", "a"])
    registration = options.registration
    assert registration is not None
    assert registration.urls == ("redis://:hidden@r:6379/0", "unix:///r.sock")
    assert (registration.advertise, registration.region, registration.prefix) == ("10.0.0.1:7", "eu-west", "patchbay")
    assert (registration.capacity, registration.zone, registration.lease_ms) == (CapacityClass.spot, "a", 10_000)
    assert "hidden" not in repr(options)


def test_the_environment_names_registries_too_and_the_command_line_goes_over_it() -> None:
    environment = {"PATCHBAY_REGISTER": "redis://a redis://b"}
    options = parse_options(["--region", "eu"], environment)
    assert options.registration is not None
    assert options.registration.urls == ("redis://a", "redis://b")
    over = parse_options(REGISTERED, environment).registration
    assert over is not None
    assert over.urls == ("redis://:hidden@r:6379/0",)
    assert parse_options([], {}).registration is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--register", "http://:hidden@r"], "redis://, rediss:// or unix://"),
        (["--register", "redis://r"], "--region"),
        ([*REGISTERED, "--listen", "0.0.0.0:7"], "nobody can dial"),
        ([*REGISTERED, "--advertise", "r"], "unix:/path or host:port"),
        ([*REGISTERED, "--register-prefix", "a:b"], "--register-prefix"),
        ([*REGISTERED, "--capacity", "rented"], "invalid choice"),
    ],
)
def test_a_registration_that_cannot_work_is_refused_without_its_password(arguments: list[str], says: str) -> None:
    with pytest.raises(BadOptions, match=says) as refused:
        parse_options(arguments)
    assert "hidden" not in str(refused.value)


def test_an_engine_asks_for_grants_only_where_it_is_given_keys(tmp_path: Path) -> None:
    assert parse_options([]).grants is None
    told = parse_options(["--grant-keys", str(tmp_path), "--region", "eu-west"]).grants
    assert told is not None
    assert (told.keys, told.region, told.capacity) == (tmp_path, "eu-west", None)
    known = parse_options(["--grant-keys", str(tmp_path), "--region", "eu-west", "--capacity", "spot"]).grants
    assert known is not None
    assert known.capacity is CapacityClass.spot
    unsaid = parse_options(REGISTERED).registration
    assert unsaid is not None
    assert unsaid.capacity is CapacityClass.reserved


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--grant-keys", "/nowhere", "--region", "eu"], "must be a folder"),
        (["--grant-keys", "."], "needs --region"),
        (["--grant-keys", ".", "--region", "EU"], "needs --region"),
    ],
)
def test_grants_that_could_not_be_checked_are_refused_at_once(arguments: list[str], says: str) -> None:
    with pytest.raises(BadOptions, match=says):
        parse_options(arguments)


def test_sources_of_notices_and_what_empties_the_engine_are_options() -> None:
    options = parse_options(
        ["--preemption", "gcp,http:127.0.0.1:0", "--preemption-notice-s", "120", "--drain-on", "rebalance"]
    )
    assert [source.kind for source in options.preemption.sources] == ["gcp", "http"]
    assert options.preemption.notice_ms == 120_000
    assert options.drains_on == {"rebalance"}
    for wrong in (["--preemption", "amazon"], ["--preemption-endpoint", "https://x"], ["--drain-on", "interruption"]):
        with pytest.raises(BadOptions):
            parse_options(wrong)
