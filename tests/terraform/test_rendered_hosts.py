"""What Terraform writes into hosts is what the product reads: settings, units, and scripts that a shell accepts."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.settings import load
from tests.harness.terraform import Terraform

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.settings import GatewaySettings
    from tests.terraform.aws_server import AwsServer

pytestmark = [pytest.mark.integration, pytest.mark.terraform]

KINDS = ("lists", "bundle")
POOLS = ("spot", "reserved")
SAMPLE = "rediss://gateway:password@"
"""In the place of a secret, where a host would have one."""


@pytest.fixture(name="written", scope="module")
def _written(tmp_path_factory: pytest.TempPathFactory, aws: AwsServer) -> dict[str, Any]:
    key = Ed25519PrivateKey.generate().public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    hosts = Terraform("tests/terraform/roots/hosts", tmp_path_factory.mktemp("hosts"), endpoint=aws.endpoint)
    hosts.init()
    return {name: entry["value"] for name, entry in hosts.plan(public_key=pem)["planned_values"]["outputs"].items()}


def settings_of(written: dict[str, Any], kind: str, folder: Path) -> GatewaySettings:
    """As the product loads them, with the host's folders in `folder`; that its certificate is there is looked at."""
    for name in ("tls.crt", "tls.key"):
        (folder / name).touch()
    file = folder / "gateway.toml"
    text = written["gateway_settings"][kind].replace("/run/patchbay/", f"{folder}/")
    file.write_text(text, encoding="utf-8")
    return load(file, written["gateway_environments"][kind])


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_of_a_gateway_are_settings_that_a_gateway_takes(
    written: dict[str, Any], kind: str, tmp_path: Path
) -> None:
    settings = settings_of(written, kind, tmp_path)

    assert settings.region == "eu-central"
    assert settings.regions is not None
    assert settings.limits.redis is not None
    assert settings.decision_log is not None
    assert [copy.kind for copy in settings.decision_log.copies] == ["s3"]
    assert (settings.residency is not None and settings.residency.bundle is not None) is (kind == "bundle")


def test_a_gateway_asks_for_the_engines_that_register_in_its_redis(written: dict[str, Any], tmp_path: Path) -> None:
    settings = settings_of(written, "lists", tmp_path)

    assert settings.engines.discovery is not None
    assert settings.engines.discovery.kind == "redis"
    assert settings.engines.discovery.url.get_secret_value().startswith("rediss://gateway:")


def test_no_password_is_in_a_settings_file_or_in_user_data(written: dict[str, Any]) -> None:
    for kind in KINDS:
        assert SAMPLE in json.dumps(written["gateway_environments"][kind])
        assert SAMPLE not in written["gateway_settings"][kind]
        assert SAMPLE not in written["gateway_user_data"][kind]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("gateway_user_data", kind) for kind in KINDS),
        *(("engine_user_data", pool) for pool in POOLS),
        *(("engine_environment_scripts", pool) for pool in POOLS),
    ],
)
def test_a_shell_reads_every_script_to_its_end(written: dict[str, Any], name: str, kind: str) -> None:
    script = written[name][kind]

    read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=20, check=False)

    assert script.startswith("#!/")
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("pool", POOLS)
def test_an_engine_takes_the_options_of_its_unit(written: dict[str, Any], pool: str) -> None:
    (command,) = (line for line in written["engine_units"][pool].splitlines() if line.startswith("ExecStart="))
    words = shlex.split(command.removeprefix("ExecStart="))[3:]
    place = {"${ADVERTISE}": "10.0.0.1:9000", "${ZONE}": "eu-central-1a", "${ACCELERATOR}": "l4"}
    options = [place.get(word, word) for word in words]
    # What comes last wins: no GPU, no AWS and no files of a host are here.
    here = ["--backend", "scripted", "--recogniser", "scripted", "--listen", "not-an-address"]

    engine = subprocess.run(
        [sys.executable, "-m", "engines", *options, *here], capture_output=True, text=True, timeout=60, check=False
    )

    assert "unrecognized arguments" not in engine.stderr
    assert "invalid choice" not in engine.stderr
    assert engine.returncode == 64, engine.stderr
    assert "not-an-address" in engine.stderr


def test_an_engine_whose_host_does_not_know_its_address_is_tried_again(written: dict[str, Any], tmp_path: Path) -> None:
    """Instead of ending for good, with 64, for half an address."""
    (tmp_path / "curl").write_text("#!/bin/sh\nexit 28\n", encoding="utf-8")
    (tmp_path / "curl").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    ran = subprocess.run(
        ["bash", "-s"],
        input=written["engine_environment_scripts"]["spot"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode not in {0, 64, 65}
    assert "address: the metadata service did not say it" in ran.stderr


def test_the_engine_of_a_spot_machine_listens_for_its_notice(written: dict[str, Any]) -> None:
    units = written["engine_units"]

    assert "--preemption aws" in units["spot"]
    assert "--capacity spot" in units["spot"]
    assert "--capacity reserved" in units["reserved"]
    assert "--grant-keys" in units["reserved"]


def test_engines_learn_new_keys_of_grants_while_they_run(written: dict[str, Any]) -> None:
    script = written["engine_user_data"]["reserved"]

    assert "enable --now patchbay-grant-keys.timer" in script
    assert "s3 sync --only-show-errors --delete s3://acme-artifacts/config/keys/ /etc/patchbay/grant-keys" in script
    assert "grant-keys" not in written["engine_user_data"]["spot"]


def test_a_unit_waits_longer_than_its_engine_drains(written: dict[str, Any]) -> None:
    for unit in written["engine_units"].values():
        drain_ms = int(unit.split("--drain-deadline-ms ")[1].split()[0])
        stop_s = int(unit.split("TimeoutStopSec=")[1].split()[0])
        assert stop_s * 1_000 > drain_ms + 5_000


@pytest.mark.parametrize("pool", POOLS)
def test_systemd_finds_nothing_wrong_with_the_unit(written: dict[str, Any], pool: str, tmp_path: Path) -> None:
    """Its programs lie where hosts have them, so here another one stands in their place."""
    unit = tmp_path / "patchbay-engine.service"
    text = written["engine_units"][pool]
    for program in ("/opt/patchbay/bin/engine_environment", "/usr/bin/nvidia-smi", "/opt/patchbay/venv/bin/python"):
        text = text.replace(program, "/bin/true")
    unit.write_text(text.replace("User=patchbay\nGroup=patchbay\n", ""), encoding="utf-8")

    found = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (found.returncode, found.stderr) == (0, "")


def test_systemd_finds_nothing_wrong_with_the_units_of_a_gateways_host(written: dict[str, Any], tmp_path: Path) -> None:
    """Every unit that its user data writes, with what it starts, and in the order in which they want each other."""
    script = written["gateway_user_data"]["bundle"]
    files = dict(
        re.findall(r"^cat > (\S+) << 'END_OF_PATCHBAY_FILE'\n(.*?)^END_OF_PATCHBAY_FILE$", script, re.M | re.S)
    )
    units = {path.rsplit("/", 1)[1]: text for path, text in files.items() if path.startswith("/etc/systemd/system/")}
    enabled = re.search(r"^systemctl enable --now --no-block (.*)$", script, re.M)
    for name, text in units.items():
        here = re.sub(r"^(Exec\w+)=\S+", r"\1=/bin/true", text, flags=re.M)
        (tmp_path / name).write_text(here.replace("User=patchbay\nGroup=patchbay\n", ""), encoding="utf-8")

    found = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.glob("patchbay-*")))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (found.returncode, found.stderr) == (0, "")
    assert enabled is not None
    assert set(enabled[1].split()) <= set(units)
    assert {
        program for text in units.values() for program in re.findall(r"^Exec\w+=(/usr/local\S+)", text, re.M)
    } <= set(files)
