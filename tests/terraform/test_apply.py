"""A region is made and taken away again on the server that stands in for AWS. Only in the long form: it takes minutes.

That server checks names, arguments and order, keeps what it is told, and enforces no policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.harness.terraform import Terraform
from tests.terraform.aws_server import NUM_APPLIED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.terraform.aws_server import AwsServer

pytestmark = [pytest.mark.integration, pytest.mark.terraform, pytest.mark.timeout(1_500)]

REGION = "eu-central-1"


@pytest.fixture(name="made", scope="module")
def _made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, aws: AwsServer
) -> Iterator[Terraform]:
    """What is made is taken away at the end, and nothing of it is left."""
    account = Terraform("tests/terraform/roots/account", tmp_path_factory.mktemp("account"), endpoint=aws.endpoint)
    account.init()
    account.apply()
    num_made = len(account.resources())
    yield account
    account.destroy()
    assert account.resources() == []
    assert asked(aws, "autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert asked(aws, "s3").list_buckets()["Buckets"] == []
    assert [vpc for vpc in asked(aws, "ec2").describe_vpcs()["Vpcs"] if not vpc["IsDefault"]] == []
    request.config.stash[NUM_APPLIED] = num_made


def asked(aws: AwsServer, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=aws.endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_engines_of_both_classes_start_behind_hooks_that_wait_for_them(made: Terraform, aws: AwsServer) -> None:
    names = made.outputs()["groups"]
    client = asked(aws, "autoscaling")

    found = client.describe_auto_scaling_groups(AutoScalingGroupNames=list(names.values()))["AutoScalingGroups"]
    sizes = {group["AutoScalingGroupName"]: len(group["Instances"]) for group in found}
    hooks = client.describe_lifecycle_hooks(AutoScalingGroupName=names["spot"])["LifecycleHooks"]

    assert sizes[names["reserved"]] == 2
    assert sizes[names["spot"]] == 3
    assert sizes[names["gateway"]] >= 2
    assert {hook["LifecycleHookName"]: hook["DefaultResult"] for hook in hooks} == {
        "serves": "ABANDON",
        "drains": "CONTINUE",
    }


def test_what_is_in_the_audit_bucket_stays_as_long_as_was_promised(made: Terraform, aws: AwsServer) -> None:
    bucket = made.outputs()["audit_bucket"]
    client = asked(aws, "s3")

    lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    (rule,) = client.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"]

    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert lock["Rule"]["DefaultRetention"].items() >= {"Mode": "COMPLIANCE", "Days": 30}.items()
    assert rule["Destination"]["Bucket"] == "arn:aws:s3:::acme-patchbay-test-eu-west-audit"


def test_nobody_outside_reaches_a_bucket(made: Terraform, aws: AwsServer) -> None:
    client = asked(aws, "s3")
    for bucket in (made.outputs()["audit_bucket"], made.outputs()["artifact_bucket"]):
        block = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert set(block.values()) == {True}
        assert "aws:SecureTransport" in client.get_bucket_policy(Bucket=bucket)["Policy"]
