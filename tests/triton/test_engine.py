"""A whole engine process over a real Triton server: it is ready with the server's model, and drains."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.triton import Triton

pytestmark = [pytest.mark.triton, pytest.mark.alone]

START_WITHIN_S, END_WITHIN_S = 120, 30


def test_an_engine_serves_the_model_of_a_triton_server(shared_triton: Triton, embedded: Path) -> None:
    command = [sys.executable, "-m", "engines", "--json", "--model", "asr", "--slots", "4"]
    command += ["--backend", "triton", "--triton", shared_triton.address]
    with subprocess.Popen(command, cwd=embedded.parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert "asr" in json.dumps(ready)
            process.send_signal(signal.SIGTERM)
            assert process.wait(END_WITHIN_S) == 0
        finally:
            process.kill()


def test_an_engine_refuses_a_model_that_the_server_has_not(shared_triton: Triton, embedded: Path) -> None:
    command = [sys.executable, "-m", "engines", "--model", "nope"]
    command += ["--backend", "triton", "--triton", shared_triton.address]
    done = subprocess.run(
        command, cwd=embedded.parents[2], capture_output=True, text=True, check=False, timeout=START_WITHIN_S
    )
    assert done.returncode == 65
    assert "Request for unknown model: 'nope' is not found" in done.stderr
