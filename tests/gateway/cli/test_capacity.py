"""`patchbay capacity`: tables for people, JSON for scripts, and exit codes for both."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.scaler_http import ScalerHttp
from policies.unmet_demand import UnmetDemand
from tests.regions.capacity.reports import SPOT, engine
from tests.regions.capacity.test_watch import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

TABLE = """\
eu-west: free slots by tier: 9 premium, 8 economy

pool  class     zone  engines  slots  used  leaving  wanted  cost
base  reserved  -     1        10     8     0        10      1.00
spot  spot      a     1        8      6     0        15      1.00
spot  spot      b     0        0      1     8        15      1.00
demand: 15; 15 at the peak
the loss of a zone is NOT survived: without spot in a 10 slots are left, 15 are needed for a peak of 15: 5 too few. \
Add 5 reserved slots, or 5 of spot (5 in b)
with base drained: the loss of a zone is NOT survived: without spot in a 0 slots are left, 15 are needed for a peak of \
15: 15 too few. Add 15 reserved slots, or 22 of spot (7 in a, 15 in b)
this gateway has not watched for long: no pool is wanted smaller than it is
"""

CATALOG = """\
[[regions]]
name = "eu-west"
country = "IE"
location = { latitude = 53.35, longitude = -6.26 }
jurisdictions = ["eu"]
operator = "aws"
gateways = ["wss://eu-west.example/v1/stream"]
relays = ["eu-west.example:8085"]

[[regions.pools]]
name = "base"
capacity = "reserved"
accelerator = "l4"
models = [{ name = "en", version = "1" }]

[[regions.pools]]
name = "spot"
capacity = "spot"
accelerator = "l4"
cost_permille = 350
models = [{ name = "en", version = "1" }]
"""
PLANNED = """\
pool  class     zone  slots  cost
base  reserved  -     40     1.00
spot  spot      a     40     0.35
spot  spot      b     40     0.35
spot  spot      c     40     0.35
the loss of a zone is survived: without spot in a 120 slots are left, 110 are needed for a peak of 100: 10 to spare
costs 74.5 % of as many reserved slots as are needed
"""


def capacity_now(without: str = "") -> dict[str, Any]:
    """As the real page gives it."""
    watched = Watched(unmet=UnmetDemand())
    watched.look(
        0,
        engine("base", slots=10, used=8),
        engine("spot", SPOT, "a", slots=8, used=6),
        engine("spot", SPOT, "b", slots=8, used=1, is_leaving=True),
    )
    page = ScalerHttp("eu-west", watched.watch, lambda: {"premium": 9, "economy": 8})
    return page.capacity({"without": without} if without else {})


@contextmanager
def answering(answer: Any, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """An admin listener's address, and the paths that it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics", asked
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["capacity", *arguments])


def lines(result: Result) -> str:
    """Without the blanks that fill up a table's lines."""
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines())


def test_a_region_is_shown_with_what_it_lacks_in_plain_words() -> None:
    with answering(capacity_now("base")) as (address, asked):
        result = run("show", "--admin-url", address, "--without", "base")
    assert (result.exit_code, asked) == (0, ["/v1/capacity?without=base"])
    assert lines(result) == TABLE


def test_scripts_get_the_answer_as_it_came() -> None:
    with answering(capacity_now()) as (address, asked):
        result = run("show", "--admin-url", address, "--json")
    assert (json.loads(result.stdout), asked) == (capacity_now(), ["/v1/capacity"])


def test_several_fleets_are_told_apart_and_an_empty_region_says_so() -> None:
    tree = capacity_now()
    with answering(tree | {"fleets": [*tree["fleets"], *tree["fleets"]]}) as (address, _):
        assert lines(run("show", "--admin-url", address)).count("en:\n") == 2
    with answering(tree | {"fleets": [], "free_slots_of_tier": {}, "is_settled": False}) as (address, _):
        said = lines(run("show", "--admin-url", address))
    assert said.splitlines() == [
        "eu-west: free slots by tier: none",
        "no engine is known here",
        "too few engines answer this gateway: it tells autoscalers nothing",
    ]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"error": {"reason": "unknown_pool", "detail": "no pool has that name"}}, 404, 66),
        ({"something": "else"}, 200, 76),
    ],
)
def test_a_gateway_that_cannot_answer_is_told_by_the_exit_code(answer: dict[str, Any], status: int, code: int) -> None:
    with answering(answer, status) as (address, _):
        assert run("show", "--admin-url", address).exit_code == code


@pytest.fixture
def catalog(tmp_path: Path) -> str:
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG, encoding="utf-8")
    return str(path)


SLOTS = ("--slots", "base=40", "--slots", "spot/a=40", "--slots", "spot/b=40", "--slots", "spot/c=40")


def test_a_plan_that_holds_says_what_it_costs(catalog: str) -> None:
    result = run("check", catalog, "eu-west", "--demand", "100", *SLOTS)
    assert (result.exit_code, lines(result)) == (0, PLANNED)


def test_a_plan_that_does_not_hold_ends_with_1_and_says_what_is_missing(catalog: str) -> None:
    result = run("check", catalog, "eu-west", "--demand", "140", *SLOTS, "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["margin_slots"], answer["more_spot_slots"]) == (1, -34, 51)


@pytest.mark.parametrize(
    ("slots", "said"),
    [
        ("other=4", "no pool of eu-west; it has base, spot"),
        ("base", "say POOL=SLOTS"),
        ("base=many", "say POOL=SLOTS"),
        ("base=9999999", "at most 1000000"),
    ],
)
def test_slots_that_make_no_sense_are_refused(catalog: str, slots: str, said: str) -> None:
    result = run("check", catalog, "eu-west", "--demand", "1", "--slots", slots)
    assert result.exit_code == 64
    assert said in result.stderr


def test_a_pool_is_said_once(catalog: str) -> None:
    result = run("check", catalog, "eu-west", "--demand", "1", "--slots", "base=1", "--slots", "base=2")
    assert (result.exit_code, result.stderr) == (64, "--slots base=2: was said before\n")


def test_a_region_or_a_catalog_that_is_not_there_is_said(catalog: str, tmp_path: Path) -> None:
    arguments = ("--demand", "1", "--slots", "base=1")
    assert run("check", catalog, "us-east", *arguments).exit_code == 66
    assert run("check", str(tmp_path / "none.toml"), "eu-west", *arguments).exit_code == 64
