"""A state that was made before the module private_bucket keeps its buckets: they move to other addresses, and none is
made anew. Only in the long form, and planned without asking anybody how the buckets are.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.terraform import TERRAFORM, Terraform

if TYPE_CHECKING:
    from pathlib import Path

    from tests.terraform.aws_server import AwsServer

pytestmark = [pytest.mark.integration, pytest.mark.terraform, pytest.mark.timeout(1_500)]

REGIONS = {"eu_central": "eu-central", "eu_west": "eu-west", "us_east": "us-east"}
BUCKETS = {"module.artifacts.": "artifacts", "module.audit.": "audit", "": "access-logs"}
"""By the module of a region in which their resources were; the rest of their names."""
PARTS = (
    "aws_s3_bucket",
    "aws_s3_bucket_lifecycle_configuration",
    "aws_s3_bucket_logging",
    "aws_s3_bucket_ownership_controls",
    "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block",
    "aws_s3_bucket_server_side_encryption_configuration",
    "aws_s3_bucket_versioning",
)


def older_state() -> dict[str, Any]:
    """Of production with its example values: the resources of all buckets, where they were."""
    resources = []
    for call, region in REGIONS.items():
        for inside, kind in BUCKETS.items():
            bucket = f"acme-patchbay-production-{region}-{kind}"
            for part in PARTS:
                if (part, kind) == ("aws_s3_bucket_logging", "access-logs"):
                    continue
                attributes: dict[str, Any] = {"id": bucket, "bucket": bucket, "expected_bucket_owner": ""}
                if part == "aws_s3_bucket":
                    attributes |= {"arn": f"arn:aws:s3:::{bucket}", "object_lock_enabled": kind == "audit"}
                resources.append(
                    {
                        "module": f"module.{call}.{inside}".rstrip("."),
                        "mode": "managed",
                        "type": part,
                        "name": "access_logs" if kind == "access-logs" else "this",
                        "provider": f'provider["registry.terraform.io/hashicorp/aws"].{call}',
                        "instances": [
                            {
                                "schema_version": 0,
                                "attributes": attributes,
                                **({"index_key": 0} if part == "aws_s3_bucket_logging" else {}),
                            }
                        ],
                    }
                )
    return {"version": 4, "terraform_version": "1.11.0", "serial": 1, "lineage": "older", "resources": resources}


def test_no_bucket_of_an_older_state_is_made_anew(tmp_path: Path, aws: AwsServer) -> None:
    production = Terraform(
        "terraform/environments/production",
        tmp_path,
        endpoint=aws.endpoint,
        variables={"TF_CLI_ARGS_plan": "-refresh=false"},
    )
    shutil.copy(production.root / "account.auto.tfvars.example", production.root / "account.auto.tfvars")
    (production.root / "terraform.tfstate").write_text(json.dumps(older_state()), encoding="utf-8")
    production.init()

    changes = [found for found in production.plan()["resource_changes"] if found["type"] in PARTS]

    moved = {found["previous_address"] for found in changes if "previous_address" in found}
    assert len(moved) == len(older_state()["resources"])
    assert [found["address"] for found in changes if {"create", "delete"} & set(found["change"]["actions"])] == []


@pytest.mark.parametrize("module", ["artifact_bucket", "audit_bucket", "one_region"])
def test_every_part_of_a_private_bucket_has_moved(module: str) -> None:
    made = set(re.findall(r'^resource "(\w+)"', (TERRAFORM / "modules/private_bucket/main.tf").read_text(), re.M))
    moved = set(re.findall(r"from = (\w+)\.", (TERRAFORM / f"modules/{module}/moved.tf").read_text()))

    assert made == set(PARTS)
    assert moved == (made - {"aws_s3_bucket_logging"} if module == "one_region" else made)
