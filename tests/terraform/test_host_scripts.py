"""The two scripts that run on hosts, against a metadata service, an `aws` and a `systemctl` of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.harness.terraform import TERRAFORM
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

HOST = TERRAFORM / "host"
STOPS = """#!/usr/bin/env bash
if [ "$1" = is-active ]; then touch "$CALLS.looked"; cat "$CALLS.state"; else echo "systemctl $*" >>"$CALLS"; fi
"""
RECORDS = """#!/usr/bin/env bash
echo "aws $*" >>"$CALLS"
"""
FAILS_TWICE = """#!/usr/bin/env bash
echo "aws $*" >>"$CALLS"
[ "$(grep -c "^aws.*$6 " "$CALLS")" -gt 2 ] || { echo 'Could not connect to the endpoint' >&2; exit 255; }
"""
IS_NOT_WAITED_FOR = """#!/usr/bin/env bash
echo "aws $*" >>"$CALLS"
echo 'An error occurred (ValidationError): No active Lifecycle Action found with instance ID i-0123' >&2
exit 254
"""


class Pages(ThreadingHTTPServer):
    """Answers by path; a path that it does not have is a 404, and `None` a 503."""

    def __init__(self, pages: dict[str, str | None]) -> None:
        self.pages = pages
        super().__init__(("127.0.0.1", 0), _Answers)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Pages
    TOKEN: ClassVar[str] = "a-token"

    def do_PUT(self) -> None:
        self._say(200, self.TOKEN)

    def do_GET(self) -> None:
        found = self.server.pages.get(self.path, "")
        is_asked_in_order = (
            not self.path.startswith("/latest") or self.headers["X-aws-ec2-metadata-token"] == self.TOKEN
        )
        if not is_asked_in_order:
            self._say(401, "")
        elif found is None:
            self._say(503, "")
        else:
            self._say(200 if self.path in self.server.pages else 404, found)

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.stop()


class Host:
    """A machine of EC2, as far as the scripts look at it."""

    def __init__(self, folder: Path) -> None:
        self._calls = folder / "calls"
        self._calls.touch()
        self.unit_is("active")
        for name, text in (("aws", RECORDS), ("systemctl", STOPS)):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)
        self.metadata = Pages({"/latest/meta-data/instance-id": "i-0123"})
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "CALLS": str(self._calls),
            "METADATA": self.metadata.url,
            "POLL_S": "0.05",
            "UNIT": "patchbay-engine",
            "AUTO_SCALING_GROUP": "engines",
            "LAUNCH_HOOK": "serves",
            "TERMINATE_HOOK": "drains",
            "AWS_REGION": "eu-central-1",
            "READY_COMMAND": f"test -e {folder}/ready",
        }
        self._ready = folder / "ready"
        self._aws = folder / "aws"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(HOST / "lifecycle.sh")], env=self.environment, stderr=subprocess.PIPE, text=True
        )

    def has_aws(self, text: str) -> None:
        new = self._aws.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o755)
        new.replace(self._aws)  # one that runs goes on as it was

    def unit_is(self, state: str) -> None:
        """As `systemctl is-active` says it."""
        self._calls.with_name("calls.state").write_text(state, encoding="utf-8")

    def until_looked_at(self) -> None:
        """Until `systemctl is-active` was asked once more."""
        looked = self._calls.with_name("calls.looked")
        looked.unlink(missing_ok=True)
        until_sync(looked.exists, what="a look at the unit")

    def serves(self) -> None:
        self._ready.touch()

    def is_to_end(self) -> None:
        self.metadata.pages["/latest/meta-data/autoscaling/target-lifecycle-state"] = "Terminated"

    def calls(self) -> list[str]:
        return self._calls.read_text(encoding="utf-8").splitlines()

    def exit_code(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=10)
        self.metadata.shutdown()
        self.metadata.server_close()


def test_a_host_is_announced_once_its_engine_serves_and_not_before(host: Host) -> None:
    host.start()
    until_sync(lambda: host.metadata.pages.get("/latest/meta-data/instance-id") is not None)
    assert host.calls() == []

    host.serves()

    until_sync(lambda: len(host.calls()) == 1, what="the launch hook's completion")
    (call,) = host.calls()
    assert "complete-lifecycle-action" in call
    assert "--lifecycle-hook-name serves --instance-id i-0123 --lifecycle-action-result CONTINUE" in call


def test_a_host_that_is_to_end_drains_its_engine_first_and_then_lets_go(host: Host) -> None:
    host.serves()
    host.start()
    until_sync(lambda: len(host.calls()) == 1)

    host.is_to_end()

    assert host.exit_code() == 0
    stopped, released = host.calls()[1:]
    assert stopped == "systemctl stop patchbay-engine"
    assert "--lifecycle-hook-name drains --instance-id i-0123 --lifecycle-action-result CONTINUE" in released


def test_a_host_whose_engine_never_served_still_ends_in_order(host: Host) -> None:
    host.is_to_end()

    host.start()

    assert host.exit_code() == 0
    assert [call.split()[0] for call in host.calls()] == ["systemctl", "aws"]


def test_a_host_that_auto_scaling_did_not_hear_says_it_again(host: Host) -> None:
    """Whoever is not heard in time is given up; whose end is not heard waits for nothing."""
    host.has_aws(FAILS_TWICE.replace("$6", "complete-lifecycle-action"))
    host.serves()

    host.start()

    until_sync(lambda: len(host.calls()) == 3, what="the third answer to the launch hook")
    host.has_aws(FAILS_TWICE.replace("$6", "--lifecycle-hook-name drains"))
    host.is_to_end()
    assert host.exit_code() == 0
    assert [" drains " in call for call in host.calls()] == [False] * 4 + [True] * 3


def test_a_host_that_is_not_waited_for_says_it_once(host: Host) -> None:
    host.has_aws(IS_NOT_WAITED_FOR)
    host.serves()
    host.is_to_end()

    host.start()

    assert host.exit_code() == 0
    assert [call.split()[0] for call in host.calls()] == ["systemctl", "aws"]


def test_a_host_whose_engine_went_and_stays_away_is_replaced(host: Host) -> None:
    host.serves()
    host.start()
    until_sync(lambda: len(host.calls()) == 1)
    host.until_looked_at()

    host.unit_is("inactive")

    until_sync(lambda: len(host.calls()) == 2, what="word to Auto Scaling")
    assert "set-instance-health" in host.calls()[1]
    assert "--instance-id i-0123 --health-status Unhealthy" in host.calls()[1]
    host.is_to_end()
    assert host.exit_code() == 0


def test_a_host_whose_engine_starts_again_is_kept(host: Host) -> None:
    host.serves()
    host.start()
    until_sync(lambda: len(host.calls()) == 1)

    for state in ("failed", "activating", "active"):
        host.unit_is(state)
    host.is_to_end()

    assert host.exit_code() == 0
    assert not any("set-instance-health" in call for call in host.calls())


def published(folder: Path, pages: dict[str, str | None]) -> tuple[int, list[str]]:
    calls = folder / "calls"
    calls.touch()
    (folder / "aws").write_text(RECORDS, encoding="utf-8")
    (folder / "aws").chmod(0o755)
    admin = Pages(pages)
    done = subprocess.run(
        [str(HOST / "publish_capacity.sh")],
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "ADMIN": admin.url,
            "ENVIRONMENT": "production",
            "REGION": "eu-central",
            "AWS_REGION": "eu-central-1",
        },
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    admin.shutdown()
    admin.server_close()
    return done.returncode, calls.read_text(encoding="utf-8").splitlines()


def test_a_gateway_publishes_how_many_engines_it_wants_in_each_pool(tmp_path: Path) -> None:
    pools = {"gpu-spot": {"wanted_engines": 7, "wanted_slots": 400}, "gpu-reserved": {"wanted_engines": 2}}

    code, (call,) = published(tmp_path, {"/v1/scaler": json.dumps({"region": "eu-central", "pools": pools})})

    assert code == 0
    assert "--namespace Patchbay" in call
    data = json.loads(call.partition("--metric-data ")[2])
    assert {point["Dimensions"][2]["Value"]: point["Value"] for point in data} == {"gpu-spot": 7, "gpu-reserved": 2}
    assert data[0]["Dimensions"][:2] == [
        {"Name": "Environment", "Value": "production"},
        {"Name": "Region", "Value": "eu-central"},
    ]


@pytest.mark.parametrize("pages", [{"/v1/scaler": None}, {}], ids=["too early", "no gateway"])
def test_a_gateway_that_cannot_know_publishes_nothing(tmp_path: Path, pages: dict[str, str | None]) -> None:
    assert published(tmp_path, pages) == (0, [])
