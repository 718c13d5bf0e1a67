"""Retention is zero by default: after real speech, kills and crashes, no word and no sound is in anything that any
process wrote. And the search finds them where they are planted, so that this can fail.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import redis

from tests.harness.caller import calling, transcribe
from tests.harness.leak_search import audio_in, dump_redis, mu_law, search, unheard_before, words_in
from tests.harness.ready import is_ready
from tests.harness.recordings import exact_names, pcm_of, pieces_of, samples_of, transcripts
from tests.harness.region import ROOT, start_region
from tests.harness.waiting import until, until_true

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.leak_search import Needle
    from tests.harness.region import Region

pytestmark = pytest.mark.integration


@pytest.fixture
def temporary_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where processes of the test put what is temporary. Short: names of sockets may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="pb"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _needles(names: list[str]) -> list[Needle]:
    texts = words_in(transcripts()[name] for name in names)
    return texts + [needle for name in names for needle in audio_in(samples_of(name))]


def _core_bytes(pid: int) -> str:
    """How large a core of the process may be."""
    (line,) = (line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line)
    return line.split()[4]


def _page(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        page: bytes = answer.read()
    return page


async def _speak_until_killed(region: Region, name: str, by: signal.Signals) -> None:
    """The gateway dies in the middle of what is said, and another one takes its place."""
    old = region.gateway_pid
    pieces = pieces_of(pcm_of(name))
    async with calling(region) as caller:
        await caller.start()
        await caller.until_started()
        await caller.say_all(pieces[: len(pieces) * 3 // 4])
        await until(lambda: bool(caller.partials) or caller.is_over, what="a partial")
        os.kill(old, by)
        await caller.until_over()
        assert not caller.is_finished
    await until(lambda: region.gateway_pid != old, what="another gateway")
    await until_true(lambda: is_ready(region), what="readiness")


async def test_after_real_speech_and_crashes_nothing_of_it_is_in_anything_that_was_written(
    tmp_path: Path, temporary_folder: Path, is_long: bool
) -> None:
    folder = tmp_path / "region"
    names = [name for name in exact_names() if len(transcripts()[name].split()) >= 4]
    names = names if is_long else names[:1]
    cores = {path.name for path in ROOT.glob("core*")}
    seen = tmp_path / "seen"
    seen.mkdir()
    decisions = {"directory": str(folder / "decisions")}
    with start_region(folder, "--exporter", log_level="debug", decision_log=decisions) as region:
        folders = [folder, temporary_folder, seen]
        needles = unheard_before(_needles(names), folders)
        assert {needle.form for needle in needles} >= {"utf-8", "utf-16-le", "base64", "pcm16", "float32", "mu-law"}
        assert [_core_bytes(pid) for pid in (region.gateway_pid, *region.engine_pids)] == ["0", "0"]
        for number, name in enumerate(names):
            caller = await transcribe(region, pieces_of(pcm_of(name)), protocol=("ws", "grpc")[number % 2])
            assert caller.text == transcripts()[name]
        await _speak_until_killed(region, names[0], signal.SIGKILL)
        await _speak_until_killed(region, names[-1], signal.SIGSEGV)
        os.kill(region.engine_pids[0], signal.SIGSEGV)
        (seen / "metrics").write_bytes(await asyncio.to_thread(_page, region.metrics))
        socket = region.ready["redis"].removeprefix("unix://")
        assert dump_redis(socket, seen / "redis") > 0
        assert search(needles, folders) == []
        # The same search sees what is planted, in each place.
        with redis.Redis(unix_socket_path=socket) as client:
            client.set("planted", transcripts()[names[0]])
        dump_redis(socket, seen / "redis")
        assert {path for _needle, path in search(needles, [seen])} == {seen / "redis"}
        (seen / "redis").unlink()
    (folder / "state" / "planted.wav").write_bytes(b"RIFF" + pcm_of(names[0]))
    assert {path.name for _needle, path in search(needles, folders) if path.suffix == ".wav"} == {"planted.wav"}
    (folder / "state" / "planted.wav").unlink()
    left = {path for _needle, path in search(needles, folders)}
    assert {path.suffix for path in left} <= {".aof"}, "only Redis's own file, which has what was planted in it"
    assert (folder / "up.log").stat().st_size > 0
    assert list((folder / "decisions").iterdir())
    assert {path.name for path in ROOT.glob("core*")} == cores


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("utf-8", lambda text, _samples: b'{"said": "' + text.encode() + b'"}'),
        ("utf-16-le", lambda text, _samples: text.encode("utf-16")),
        ("json \\u", lambda text, _samples: "".join(f"\\u{ord(letter):04x}" for letter in text).encode()),
        ("base64", lambda text, _samples: base64.b64encode(b"x" + text.encode() + b"yz")),
        ("pcm16", lambda _text, samples: b"\0" + samples.astype("<i2").tobytes()),
        ("float32", lambda _text, samples: (samples / np.float32(32_768)).astype("<f4").tobytes()),
        ("mu-law", lambda _text, samples: mu_law(samples)),
        ("base64", lambda _text, samples: json.dumps(base64.b64encode(samples.tobytes()).decode()).encode()),
    ],
)
def test_the_search_finds_each_form_of_words_and_of_sound(tmp_path: Path, form: str, raw: object) -> None:
    name = exact_names()[0]
    needles = _needles([name])
    assert callable(raw)
    (tmp_path / "somewhere").write_bytes(bytes(1_000) + raw(transcripts()[name], samples_of(name)) + bytes(1_000))
    assert form in {needle.form for needle, _path in search(needles, [tmp_path])}
    assert search(needles, [tmp_path / "somewhere_else"]) == []
