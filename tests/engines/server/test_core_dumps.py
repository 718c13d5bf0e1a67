"""Promises about core dumps, seen from outside: they are changed for a whole process."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

_CRASHES = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    def allow_cores() -> None:
        _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=allow_cores,
    )


def test_a_process_that_forbids_them_cannot_dump_its_memory(tmp_path: Path) -> None:
    code = "from engines.server.core_dumps import *; forbid_core_dumps(); print(may_dump_core()); "
    ended = _run(code + "import sys; sys.stdout.flush(); " + _CRASHES, tmp_path)
    assert ended.stdout.strip() == "False"
    assert ended.returncode == -signal.SIGSEGV
    assert list(tmp_path.iterdir()) == []


def test_the_question_can_be_answered_with_yes(tmp_path: Path) -> None:
    ended = _run("from engines.server.core_dumps import *; print(may_dump_core())", tmp_path)
    assert ended.stdout.strip() == "True"
