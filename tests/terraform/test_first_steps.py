"""The first steps of docs/deploy.md, in the order in which somebody with an empty account takes them: what one step
reads, the steps before it have made. Only in the long form.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.harness.terraform import ROOT, Terraform

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform.aws_server import AwsServer

pytestmark = [pytest.mark.integration, pytest.mark.terraform, pytest.mark.timeout(1_500)]


def targets() -> list[str]:
    """Options of the step "Buckets first", as its loop writes them."""
    text = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    (loop,) = re.findall(r"^for region in ([a-z_ ]+); do\n  targets\+=\((.+)\)\ndone$", text, re.M)
    return [
        target.replace("$region", region) for region in loop[0].split() for target in re.findall(r'"([^"]+)"', loop[1])
    ]


def test_buckets_and_secrets_come_first_and_the_next_steps_find_them(tmp_path: Path, aws: AwsServer) -> None:
    production = Terraform(
        "terraform/environments/production",
        tmp_path,
        endpoint=aws.endpoint,
        variables={"TF_CLI_ARGS_apply": " ".join(targets())},
    )
    shutil.copy(production.root / "account.auto.tfvars.example", production.root / "account.auto.tfvars")
    production.init()
    try:
        production.apply(is_protected=False)
        outputs = production.outputs()
        kinds = {address.split(".")[-2] for address in production.resources()}
    finally:
        production.destroy(is_protected=False)

    regions = ["eu-central", "eu-west", "us-east"]
    assert outputs["artifact_buckets"] == {name: f"acme-patchbay-production-{name}-artifacts" for name in regions}
    assert {name: set(arns) for name, arns in outputs["secret_arns"].items()} == {
        name: {"region_link", "resumption_keys", "decision_key", "certificate", "webtransport", "grant_key"}
        for name in regions
    }
    assert not {"aws_autoscaling_group", "aws_elasticache_replication_group", "aws_lb"} & kinds
