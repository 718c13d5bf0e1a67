"""A state that was made before the modules private_bucket and redis_users keeps its buckets and its Redis: what moved
has another address, and users of Redis come before those that they replace go. Only in the long form, and planned
without asking anybody how things are.
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
README = (TERRAFORM / "README.md").read_text(encoding="utf-8")
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
                        "provider": f'provider["hashicorp/aws"].{call}',
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


def users_of_older_state(*, have_moved: bool) -> list[dict[str, Any]]:
    """Of each region's Redis: three users that Terraform made itself, and their group.

    Args:
        have_moved: as `terraform apply -refresh-only` leaves them.
    """
    resources = []
    for call, region in REGIONS.items():
        name = f"patchbay-production-{region}"
        ids = {user: f"{name}-{user}" for user in ("default", "engine", "gateway")}
        users = {
            user: {"id": user_id, "user_id": user_id, "user_name": user, "engine": "redis"}
            for user, user_id in ids.items()
        }
        users["default"] |= {"access_string": "off ~keys* -@all"}
        group = {
            "id": f"{name}-redis",
            "user_group_id": f"{name}-redis",
            "engine": "redis",
            "user_ids": list(ids.values()),
        }
        for kind, label, instances in (
            ("aws_elasticache_user", "default", {None: users["default"]}),
            ("aws_elasticache_user", "this", {user: users[user] for user in ("engine", "gateway")}),
            ("aws_elasticache_user_group", "this", {None: group}),
        ):
            resources.append(
                {
                    "module": f"module.{call}.module.redis"
                    + (".module.users" if have_moved and label == "default" else ""),
                    "mode": "managed",
                    "type": kind,
                    "name": label,
                    "provider": f'provider["hashicorp/aws"].{call}',
                    "instances": [
                        {"schema_version": 0, "attributes": attributes, **({} if key is None else {"index_key": key})}
                        for key, attributes in instances.items()
                    ],
                }
            )
    return resources


def production_of(state: dict[str, Any], work: Path, aws: AwsServer, *options: str) -> Terraform:
    """Planned with these options."""
    planned = Terraform(
        "terraform/environments/production",
        work,
        endpoint=aws.endpoint,
        variables={"TF_CLI_ARGS_plan": " ".join(["-refresh=false", *options])},
    )
    shutil.copy(planned.root / "account.auto.tfvars.example", planned.root / "account.auto.tfvars")
    (planned.root / "terraform.tfstate").write_text(json.dumps(state), encoding="utf-8")
    planned.init()
    return planned


def test_no_bucket_of_an_older_state_is_made_anew(tmp_path: Path, aws: AwsServer) -> None:
    production = production_of(older_state(), tmp_path, aws)

    changes = [found for found in production.plan()["resource_changes"] if found["type"] in PARTS]

    moved = {found["previous_address"] for found in changes if "previous_address" in found}
    assert len(moved) == len(older_state()["resources"])
    assert [found["address"] for found in changes if {"create", "delete"} & set(found["change"]["actions"])] == []


def test_the_user_of_redis_that_may_do_nothing_moves_and_the_others_end(tmp_path: Path, aws: AwsServer) -> None:
    state = older_state() | {"resources": users_of_older_state(have_moved=False)}

    changes = production_of(state, tmp_path, aws).plan()["resource_changes"]

    of_users = {found["address"]: found for found in changes if found["type"] == "aws_elasticache_user"}
    for call in REGIONS:
        redis = f"module.{call}.module.redis"
        default = of_users.pop(f"{redis}.module.users.aws_elasticache_user.default")
        assert default["previous_address"] == f"{redis}.aws_elasticache_user.default"
        assert not {"create", "delete"} & set(default["change"]["actions"])
    assert [found["change"]["actions"] for found in of_users.values()] == [["delete"]] * 2 * len(REGIONS)


def test_users_of_redis_come_before_those_of_an_older_state_go(tmp_path: Path, aws: AwsServer) -> None:
    """By the second of the steps of terraform/README.md. AWS takes a user that goes out of its group by itself, and
    then refuses, or silently leaves out, the change of the group that is to bring the next one in."""
    (target,) = re.findall(r"terraform apply -target=(\S+aws_elasticache_user_group\.this)", README)
    state = older_state() | {"resources": users_of_older_state(have_moved=True)}
    targets = [f"-target={target.replace('REGION', call)}" for call in REGIONS]

    changes = production_of(state, tmp_path, aws, *targets).plan()["resource_changes"]

    of_users = [found for found in changes if found["type"] == "aws_elasticache_user"]
    groups = [found["change"] for found in changes if found["type"] == "aws_elasticache_user_group"]
    stacks = [found["change"]["actions"] for found in changes if found["type"] == "aws_cloudformation_stack"]
    members = {user for group in groups for user in group["after"]["user_ids"]}
    older = {instance["attributes"]["id"] for found in state["resources"] for instance in found["instances"]}

    assert [found["address"] for found in of_users if {"create", "delete"} & set(found["change"]["actions"])] == []
    assert [group["actions"] for group in groups] == [["update"]] * len(REGIONS)
    assert stacks == [["create"]] * len(REGIONS)
    assert members & older == {f"patchbay-production-{region}-default" for region in REGIONS.values()}
    assert len(members - older) == 2 * len(REGIONS)


@pytest.mark.parametrize("module", ["artifact_bucket", "audit_bucket", "one_region"])
def test_every_part_of_a_private_bucket_has_moved(module: str) -> None:
    made = set(re.findall(r'^resource "(\w+)"', (TERRAFORM / "modules/private_bucket/main.tf").read_text(), re.M))
    moved = set(re.findall(r"from = (\w+)\.", (TERRAFORM / f"modules/{module}/moved.tf").read_text()))

    assert made == set(PARTS)
    assert moved == (made - {"aws_s3_bucket_logging"} if module == "one_region" else made)
