"""`patchbay region`: every mistake of a catalog on a line, and what is in it as tables or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

pytestmark = pytest.mark.unit

CATALOG = """
[[regions]]
name = "eu-west"
country = "IE"
location = { latitude = 53.35, longitude = -6.26 }
jurisdictions = ["eu"]
operator = "acme"
gateways = ["wss://eu-west.example.com/v1/stream"]
relays = ["relay.eu-west.example.com:8085"]
[[regions.pools]]
name = "spot"
capacity = "spot"
models = [{ name = "en", version = "1" }]
[[regions]]
name = "edge-oslo"
country = "NO"
location = { latitude = 59.91, longitude = 10.75 }
jurisdictions = ["eea"]
operator = "acme"
gateways = ["wss://oslo.example.com/v1/stream"]
state = "draining"
"""
WRONG = CATALOG.replace('"IE"', '"EI"').replace("wss://oslo", "http://oslo")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["region", *arguments])


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    return str(path)


@pytest.fixture
def wrong_file(tmp_path: Path) -> str:
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG)
    return str(path)


def test_a_good_catalog_is_summed_up_and_warnings_are_told_beside(file: str) -> None:
    outcome = run("validate", file)
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("the catalog is good: 1 region, 1 edge site, digest ")
    assert outcome.stderr == (
        "warning: regions.eu-west.pools: all of it is spot capacity: the provider may take it away at once\n"
    )
    said = json.loads(run("validate", file, "--json").stdout)
    assert said["regions"] == ["eu-west", "edge-oslo"]
    assert len(said["warnings"]) == 1


def test_every_mistake_is_told_and_exits_64(wrong_file: str, file: str) -> None:
    outcome = run("validate", wrong_file)
    assert outcome.exit_code == 64
    assert [line.split(":")[1].strip() for line in outcome.stderr.splitlines()] == [
        "regions.eu-west.country",
        "regions.edge-oslo.gateways",
    ]
    assert len(json.loads(run("list", "--catalog", wrong_file, "--json").stdout)["mistakes"]) == 2
    assert run("show", "eu-west", "--catalog", f"{file}.not").exit_code == 64


def test_regions_are_listed_for_people_and_for_programs(file: str) -> None:
    shown = run("list", "--catalog", file)
    assert shown.exit_code == 0
    assert "an edge" in shown.stdout
    listed = json.loads(run("list", "--catalog", file, "--json").stdout)["regions"]
    assert [(region["name"], region["state"], len(region["pools"])) for region in listed] == [
        ("eu-west", "active", 1),
        ("edge-oslo", "draining", 0),
    ]


def test_one_region_is_shown_and_an_unknown_one_exits_66(file: str) -> None:
    assert "en 1" in run("show", "eu-west", "--catalog", file).stdout
    shown = json.loads(run("show", "eu-west", "--catalog", file, "--json").stdout)
    assert shown["relays"] == ["relay.eu-west.example.com:8085"]
    assert shown["pools"][0]["models"] == [{"name": "en", "version": "1"}]
    outcome = run("show", "mars", "--catalog", file)
    assert outcome.exit_code == 66
    assert outcome.stderr == "the catalog has no region mars; it has eu-west, edge-oslo\n"
