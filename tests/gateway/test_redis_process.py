"""A Redis of a region's own: private, durable, and gone with whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import redis

from gateway.redis_process import answers, until_it_answers
from tests.harness.region import wait_until_gone

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def command_of(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "gateway.redis_process"),
        *("--directory", str(folder / "data"), "--socket", str(folder / "redis.sock")),
    ]


def ready(folder: Path) -> redis.Redis:
    asyncio.run(asyncio.wait_for(until_it_answers(folder / "redis.sock"), 60))
    return redis.Redis(unix_socket_path=str(folder / "redis.sock"), decode_responses=True)


def test_what_was_written_is_there_after_a_kill_and_only_the_user_may_connect(tmp_path: Path) -> None:
    assert not asyncio.run(answers(tmp_path / "redis.sock"))
    process = subprocess.Popen(command_of(tmp_path))
    with ready(tmp_path) as client:
        client.set("name", "value")
        assert oct(os.stat(tmp_path / "redis.sock").st_mode & 0o777) == "0o700"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    process.kill()
    process.wait()
    assert not asyncio.run(answers(tmp_path / "redis.sock"))
    process = subprocess.Popen(command_of(tmp_path))
    with ready(tmp_path) as client:
        assert client.get("name") == "value"
    process.terminate()
    assert process.wait(10) == 0


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        f"import subprocess,sys; print(subprocess.Popen({command_of(tmp_path)!r}).pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    (ready(tmp_path)).close()
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until_gone(pid)
