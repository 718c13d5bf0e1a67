"""A region is made and taken away again on the server that stands in for AWS. Only in the long form: it takes minutes.

That server checks names, arguments and order, keeps what it is told, and enforces no policy.
"""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("name", ["artifact_bucket", "audit_bucket", "access_log_bucket"])
def test_nobody_outside_reaches_a_bucket(made: Terraform, aws: AwsServer, name: str) -> None:
    client = asked(aws, "s3")
    bucket = made.outputs()[name]

    block = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    policy = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
    (encryption,) = client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]

    assert set(block.values()) == {True}
    assert [statement["Condition"] for statement in policy["Statement"] if statement.get("Sid") == "OnlyOverTls"] == [
        {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == (
        "AES256" if name == "access_log_bucket" else "aws:kms"
    )


def test_who_reads_a_bucket_is_written_down_in_that_of_access_logs(made: Terraform, aws: AwsServer) -> None:
    outputs, client = made.outputs(), asked(aws, "s3")

    for name in ("artifact_bucket", "audit_bucket"):
        logging = client.get_bucket_logging(Bucket=outputs[name])["LoggingEnabled"]
        assert logging["TargetBucket"] == outputs["access_log_bucket"]
        assert logging["TargetPrefix"] == f"{outputs[name]}/"


def test_the_audit_buckets_own_denials_stand_beside_the_one_about_tls(made: Terraform, aws: AwsServer) -> None:
    policy = asked(aws, "s3").get_bucket_policy(Bucket=made.outputs()["audit_bucket"])["Policy"]

    assert {statement["Sid"] for statement in json.loads(policy)["Statement"]} == {
        "OnlyOverTls",
        "NobodyDeletes",
        "NotShorterThanPromised",
    }
