"""The exporter as its user starts it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.harness.exporter import ExporterProcess, record, unacknowledged, usage_event
from tests.harness.ports import free_port
from tests.harness.region import ROOT
from tests.harness.residency_bundle import PROJECTS, residency_files
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.redis_server import RedisServer

pytestmark = pytest.mark.integration

SINK = {"kind": "http", "name": "meter", "url": "http://127.0.0.1:9/"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway.metering", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_says_why_it_does_not_start(tmp_path: Path) -> None:
    exporter = ExporterProcess(tmp_path, "redis://127.0.0.1:9/0", SINK)
    without = {name: text for name, text in exporter.environment.items() if "METERING" not in name}
    done = run(**without)
    assert (done.returncode, "wrong setting: an exporter needs" in done.stderr) == (64, True)
    assert run("--confg").returncode == 64
    (tmp_path / "state").write_text("no folder")
    done = run(**exporter.environment)
    assert (done.returncode, "cannot be opened" in done.stderr) == (74, True)


def test_without_redis_it_runs_and_waits_and_its_port_is_its_own(tmp_path: Path) -> None:
    port = free_port()
    first = ExporterProcess(tmp_path / "one", "redis://127.0.0.1:9/0", SINK, listen={"port": port})
    second = ExporterProcess(tmp_path / "two", "redis://127.0.0.1:9/0", SINK, listen={"port": port})
    with first:
        assert first.ready["http"] == f"http://127.0.0.1:{port}"
        done = run(**second.environment)
        assert (done.returncode, str(port) in done.stderr) == (69, True)
        assert first.stop() == 0


def _write_bundle(folder: Path, *, projects: str) -> None:
    for path, raw in residency_files(projects=projects).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)


def test_usage_leaves_only_for_where_the_bundle_in_force_permits_it_and_the_rest_waits(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    """acme/no-aws keeps away from Amazon, whose region us-east-1 is; another bundle lets it go there."""
    bundle, files = tmp_path / "bundle", tmp_path / "files"
    _write_bundle(bundle, projects=PROJECTS)
    sink = {"kind": "json_lines", "name": "meter", "directory": str(files), "region": "us-east-1"}
    exporter = ExporterProcess(tmp_path / "exporter", redis_server.url, sink).under(bundle)
    permitted = usage_event("clinic", 1, project="notes")
    held = [usage_event("acme", number, project="no-aws") for number in range(3)]
    record(redis_server, permitted, *held)

    def sent() -> str:
        return "".join(path.read_text() for path in files.glob("*.jsonl*"))

    with exporter:
        until_sync(lambda: permitted.id in sent(), what="the event that may leave")
        until_sync(lambda: "meter_export.held" in exporter.log_file.read_text(), what="word of those that may not")
        assert not any(event.id in sent() for event in held)
        assert unacknowledged(redis_server, "meter", "acme") == 3
        _write_bundle(bundle, projects=PROJECTS.replace('no_providers = ["aws"]', ""))
        until_sync(lambda: all(event.id in sent() for event in held), what="the events that wait")
        until_sync(lambda: unacknowledged(redis_server, "meter", "acme") == 0, what="their acknowledgement")
        assert all(sent().count(event.id) == 1 for event in held)


def test_with_a_bundle_each_receiver_has_to_be_somewhere(tmp_path: Path) -> None:
    _write_bundle(tmp_path / "bundle", projects=PROJECTS)
    exporter = ExporterProcess(tmp_path / "exporter", "redis://127.0.0.1:9/0", SINK).under(tmp_path / "bundle")
    done = run(**exporter.environment)
    assert (done.returncode, "each sink needs a region" in done.stderr) == (64, True)
