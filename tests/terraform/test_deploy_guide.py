"""What docs/deploy.md tells people to do with secrets keeps to the fence of legal areas, and its sums are right."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.harness.terraform import ROOT

pytestmark = pytest.mark.unit

GUIDE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
BUCKETS = {name: f"acme-{name}-artifacts" for name in ("eu-central", "eu-west", "us-east")}
HOURS = 730


def block(beginning: str) -> str:
    """The one block of shell with a line that begins so."""
    (found,) = (text for text in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if f"\n{beginning}" in f"\n{text}")
    return str(found)


def asked_of_aws(script: str, work: Path) -> list[list[str]]:
    """Words of each call of the AWS CLI; Terraform gives the buckets' names."""
    calls = work / "calls"
    for name, text in {
        "aws": f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\n',
        "terraform": f"#!/bin/sh\ncat <<'END'\n{json.dumps(BUCKETS)}\nEND\n",
    }.items():
        (work / name).write_text(text, encoding="utf-8")
        (work / name).chmod(0o755)
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**os.environ, "PATH": f"{work}:{os.environ['PATH']}"},
        cwd=work,
        timeout=60,
        check=True,
    )
    return [line.split() for line in calls.read_text(encoding="utf-8").splitlines()]


def test_every_secret_goes_to_its_own_region_and_keys_of_grants_stay_in_their_area(tmp_path: Path) -> None:
    calls = asked_of_aws(block("for place in eea/eu-central/eu-central-1"), tmp_path)

    secrets = {
        (words[words.index("--region") + 1], words[words.index("--secret-id") + 1].removeprefix("patchbay-production-"))
        for words in calls
        if words[0] == "secretsmanager"
    }
    files = {
        word for words in calls for word in words if word.startswith("file://us") or word == "file://us.resumption"
    }
    keys = {(words[3].split("/")[2], words[3].rsplit("/", 1)[1]) for words in calls if words[0] == "s3"}

    names = ("region_link", "resumption_keys", "decision_key", "webtransport", "grant_key", "certificate")
    places = {"eu-central": "eu-central-1", "eu-west": "eu-west-1", "us-east": "us-east-1"}
    assert secrets == {(place, f"{region}/{name}") for region, place in places.items() for name in names}
    assert len(files) == len(names)
    assert keys == {
        (BUCKETS["eu-central"], "eu-central.pem"),
        (BUCKETS["eu-central"], "eu-west.pem"),
        (BUCKETS["eu-west"], "eu-central.pem"),
        (BUCKETS["eu-west"], "eu-west.pem"),
        (BUCKETS["us-east"], "us-east.pem"),
    }


def test_the_cost_table_is_reckoned_from_what_production_has() -> None:
    (table,) = re.findall(r"\| what \| billed by \|.*?\n\n", GUIDE, re.DOTALL)
    rows = [[cell.strip(" *`") for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]
    *parts, whole = rows
    values = (ROOT / "terraform/environments/production/terraform.tfvars").read_text(encoding="utf-8")
    fewest = [int(least) for least in re.findall(r"\bmin\s*= (\d+)", values)][:3]

    for name, _unit, quantity, price, month in parts:
        number, _, hours = quantity.partition(" x ")
        assert hours in {"", str(HOURS)}, name
        assert float(month) == pytest.approx(int(number) * (int(hours) if hours else 1) * float(price), abs=0.01), name
    assert float(whole[4]) == pytest.approx(sum(float(row[4]) for row in parts), abs=0.01)
    assert [int(row[2].split()[0]) for row in parts[:3]] == fewest


def test_each_price_says_where_and_when_it_was_read_and_can_be_asked_for(tmp_path: Path) -> None:
    (table,) = re.findall(r"\| price \| read in \| on \|\n.*?\n\n", GUIDE, re.DOTALL)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]

    asked = [" ".join(words) for words in asked_of_aws(block("price() {"), tmp_path)]

    for price, source, days in rows:
        assert source, price
        assert all(re.search(r"[A-Z][a-z]{2} 20\d\d$", day) for day in days.split("; ")), price
    for region in ("eu-central-1", "eu-west-1", "us-east-1"):
        said = [call for call in asked if f"Value={region}" in call]
        for what in (
            *("Value=c7i.large", "Value=g6.xlarge", "Value=g5.xlarge", "Value=cache.m7g.large", "Value=gp3"),
            *("Value=NAT Gateway", "Value=Load Balancer-Network", "Value=VpcEndpoint", "Value=VPCPublicIPv4Address"),
            *("awskms", "AWSSecretsManager", "Value=IntraRegion", "Value=InterRegion Outbound", "Value=AWS Outbound"),
        ):
            assert any(what in call for call in said), (region, what)
