"""`patchbay route explain`: a table for people, JSON for scripts, and exit codes for both."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.running_regions import announce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

ANSWER: dict[str, Any] = {
    "here": "eu-west",
    "seen_from": "eu-west",
    "tenant": "acme",
    "profile": "eu",
    "tier": "standard",
    "model": "",
    "version": "",
    "language": "",
    "permitted": ["eu-central", "eu-west"],
    "refused": None,
    "refusal": None,
    "classes": ["spot", "reserved"],
    "gateways": ["wss://eu-west.example/v1/stream"],
    "snapshot_age_ms": 120,
    "chosen": "eu-west",
    "kept_current": False,
    "candidates": [
        {
            "region": "eu-west",
            "score_ms": 20.7,
            "parts_ms": {"rtt": 0.4, "queueing": 0.3, "spot": 0.0, "cost": 20.0},
            "free_slots": 41,
            "health": "admitting",
            "age_ms": 300,
            "placed_since_report": 2,
        },
        {
            "region": "eu-central",
            "score_ms": 44.5,
            "parts_ms": {"rtt_prior": 24.5, "queueing": 0.0, "spot": 0.0, "cost": 20.0},
            "free_slots": 64,
            "health": "admitting",
            "is_spilling": True,
            "age_ms": 900,
            "placed_since_report": 0,
        },
    ],
    "ruled_out": [
        {"region": "ap-south", "reason": "not_in_catalog", "age_ms": None},
        {"region": "us-east", "reason": "outside_policy", "age_ms": 410},
    ],
}

TABLE = """\
in eu-west
tenant acme, profile eu, tier standard; seen from eu-west; permitted: eu-central, eu-west
slots there: spot, then reserved
   region              score  round trip  queueing  spot  cost  free slots  report
1  eu-west             20.7   0.4         0.3       0.0   20.0  41          0.3 s ago
2  eu-central, spills  44.5   ~24.5       0.0       0.0   20.0  64          0.9 s ago
out       why             report
ap-south  not in catalog  none
us-east   outside policy  0.4 s ago
facts 120 ms old; milliseconds, lower is better
"""


class Gateway:
    """An admin listener that answers what a test wants."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: Any = ANSWER
        self.asked: list[tuple[str, dict[str, str]]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                gateway.asked.append((parts.path, dict(parse_qsl(parts.query))))
                payload = json.dumps(gateway.answer).encode() if gateway.answer is not None else b"<html>"
                self.send_response(gateway.status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.close()


def explain(*arguments: str, state: Path | None = None) -> Result:
    environment = {"COLUMNS": "120", "XDG_STATE_HOME": str(state or "/nonexistent")}
    return CliRunner().invoke(app, ["route", "explain", *arguments], env=environment)


def test_people_get_tables(gateway: Gateway) -> None:
    outcome = explain("--admin-url", gateway.url, "--tenant", "acme", "--profile", "eu")
    shown = "".join(f"{line.rstrip()}\n" for line in outcome.stdout.splitlines())
    assert (outcome.exit_code, shown) == (0, TABLE)


def test_scripts_get_the_answer_as_it_is(gateway: Gateway) -> None:
    outcome = explain("--admin-url", f"{gateway.url}/metrics", "--json")
    assert (outcome.exit_code, json.loads(outcome.stdout)) == (0, ANSWER)


def test_what_is_asked_reaches_the_gateway(gateway: Gateway) -> None:
    explain(
        *("--admin-url", gateway.url, "--tenant", "acme", "--from", "IE", "--tier", "premium"),
        *("--model", "patchbay-en", "--language", "en"),
    )
    asked = {"tenant": "acme", "from": "IE", "tier": "premium", "model": "patchbay-en", "language": "en"}
    assert gateway.asked == [("/v1/route/explain", asked)]


def test_where_nothing_can_be_chosen_it_exits_with_69(gateway: Gateway) -> None:
    gateway.answer = ANSWER | {"chosen": None, "candidates": [], "refusal": "no_free_slot"}
    outcome = explain("--admin-url", gateway.url)
    assert (outcome.exit_code, outcome.stdout.splitlines()[0]) == (69, "nowhere now: no_free_slot")


def test_a_caller_who_may_not_be_served_exits_with_77(gateway: Gateway) -> None:
    refused = {"reason": "wrong_region", "detail": "the profile excludes it"}
    gateway.answer = ANSWER | {"refused": refused}
    outcome = explain("--admin-url", gateway.url)
    assert outcome.exit_code == 77
    assert outcome.stdout.startswith("refused by eu-west: wrong_region: the profile excludes it\n")


def test_a_wrong_question_exits_with_64_and_says_what_is_wrong(gateway: Gateway) -> None:
    gateway.status, gateway.answer = 400, {"error": "tier: one of premium, standard, economy"}
    outcome = explain("--admin-url", gateway.url, "--tier", "gold")
    assert (outcome.exit_code, outcome.stderr) == (64, "tier: one of premium, standard, economy\n")


@pytest.mark.parametrize(("status", "answer"), [(404, {}), (200, None), (200, []), (200, {})])
def test_what_is_no_gateway_exits_with_76(gateway: Gateway, status: int, answer: object) -> None:
    gateway.status, gateway.answer = status, answer
    assert explain("--admin-url", gateway.url).exit_code == 76


def test_a_gateway_that_is_away_exits_with_69() -> None:
    outcome = explain("--admin-url", "http://127.0.0.1:1")
    assert (outcome.exit_code, "cannot be asked" in outcome.stderr) == (69, True)


def test_what_is_no_url_exits_with_64() -> None:
    assert explain("--admin-url", "file:///etc/passwd").exit_code == 64


def test_without_a_url_the_region_of_this_machine_is_asked(gateway: Gateway, tmp_path: Path) -> None:
    assert explain(state=tmp_path).exit_code == 64
    announce(tmp_path / "patchbay", {"pid": os.getpid(), "metrics": f"{gateway.url}/metrics"})
    assert explain(state=tmp_path).exit_code == 0
