"""The log's promises are seen on a real process's stderr: test_main.py reads every line as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
SCRIPT = """
import structlog
from engines.server.logs import write_json_lines
write_json_lines(pool="blue")
pcm16 = "audio that somebody spoke"
try:
    1 / 0
except ZeroDivisionError as error:
    structlog.get_logger("engine").error("engine.failed", exc_info=error)
"""


def test_an_event_is_one_line_of_json_with_the_pool_even_with_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = done.stderr.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["pool"]) == ("engine.failed", "error", "blue")
    assert event["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "somebody spoke" not in line
    assert done.stdout == ""
