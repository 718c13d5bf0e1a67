"""Logs: one JSON object a line on standard error, from the level up; a tenant is a hash."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.logs import tenant_hash

pytestmark = pytest.mark.integration

SAY = """
import structlog
from gateway.logs import configure
configure({level!r})
log = structlog.get_logger("gateway")
{statements}
"""


def said(statements: str, *, level: str = "info") -> list[dict[str, Any]]:
    """What a process of its own logs; structlog's configuration is the whole process's."""
    script = SAY.format(level=level, statements=statements)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields_level_and_time() -> None:
    (row,) = said('log.info("session.closed", reason="finished", audio_ms=61_040)')
    at = datetime.fromisoformat(row.pop("timestamp"))
    assert row == {"event": "session.closed", "reason": "finished", "audio_ms": 61_040, "level": "info"}
    assert at.tzinfo == UTC


def test_text_with_line_ends_stays_one_line() -> None:
    (row,) = said('log.info("odd", detail="a\\nb\\u2028c")')
    assert row["detail"] == "a\nb\u2028c"


def test_what_is_bound_is_on_every_line() -> None:
    rows = said('bound = log.bind(session="s1", region="eu")\nbound.info("a")\nbound.warning("b")')
    assert [(row["event"], row["session"], row["region"]) for row in rows] == [("a", "s1", "eu"), ("b", "s1", "eu")]


def test_an_exception_is_a_field_and_not_lines_of_its_own() -> None:
    (row,) = said('try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception("broken")')
    assert "ZeroDivisionError" in row["exception"]
    assert row["level"] == "error"


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_what_is_below_the_level_is_not_written(level: str, heard: int) -> None:
    statements = 'log.debug("d"); log.info("i"); log.warning("w"); log.error("e")'
    assert [row["event"] for row in said(statements, level=level)] == list("diwe")[4 - heard :]


def test_what_a_library_logs_is_a_line_of_json_without_what_was_filled_in() -> None:
    statements = """
import logging
library = logging.getLogger("aiohttp.server")
library.info("not heard")
try:
    1 / 0
except ZeroDivisionError:
    library.exception("Error handling request from %s", "203.0.113.7")
"""
    (row,) = said(statements)
    assert (row["event"], row["said"], row["logger"]) == (
        "library.logged",
        "Error handling request from %s",
        "aiohttp.server",
    )
    assert row["level"] == "error"
    assert "ZeroDivisionError" in row["exception"]
    assert "203.0.113.7" not in str(row)


def test_what_a_client_sent_that_is_no_http_is_not_logged() -> None:
    statements = """
import logging
from aiohttp.http_exceptions import BadStatusLine
try:
    raise BadStatusLine("GET /v1/stream?token=canary HTTP/9.9")
except BadStatusLine:
    logging.getLogger("aiohttp.server").exception("Error handling request from %s", "203.0.113.7")
"""
    assert said(statements) == []


def test_a_tenant_is_told_apart_and_not_named() -> None:
    assert tenant_hash("acme") == tenant_hash("acme")
    assert tenant_hash("acme") != tenant_hash("acme2")
    assert re.fullmatch("[0-9a-f]{12}", tenant_hash("Grüße & Söhne"))
