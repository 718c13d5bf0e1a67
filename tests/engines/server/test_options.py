"""Promises of the engine's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.contract import BackendKind, BackendSettings
from engines.recognition.scripted import Script
from engines.server.options import EMBEDDED_MODEL, BadOptions, parse_options

pytestmark = pytest.mark.unit


def test_an_empty_command_line_serves_the_embedded_model_on_any_local_port() -> None:
    options = parse_options([])
    assert (options.listen, options.models, options.recogniser) == ("127.0.0.1:0", (EMBEDDED_MODEL,), "ctc")
    assert options.backend == BackendSettings(kind=BackendKind.onnx, max_slots=32, threads=1)
    assert (options.max_batch, options.busy_permille, options.model_folders) == (0, 800, ())


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
        (["--script", "speed=1"], "speed"),
        (["--script", "utterance_blocks=0"], "utterance_blocks"),
        (["--slot", "3"], "unrecognized"),
    ],
)
def test_a_bad_option_says_what_was_expected(arguments: list[str], says: str) -> None:
    with pytest.raises(BadOptions, match=says):
        parse_options(arguments)
