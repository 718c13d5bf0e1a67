"""Against moto's server: the parts of S3 that matter here are its Object Lock and its errors."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from moto.server import ThreadedMotoServer

from gateway.decision_log.copies import CopyDiffers, CopyFailed
from gateway.decision_log.copy_to_s3 import S3Copy, now
from gateway.decision_log.settings import S3CopySettings

pytestmark = pytest.mark.integration


@pytest.fixture(name="endpoint", scope="module")
def _endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(name="client")
def _client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    for bucket, is_locked in (("locked-bucket", True), ("open-bucket", False)):
        try:
            client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=is_locked)
        except client.exceptions.BucketAlreadyOwnedByYou:
            continue
    return client


def copy_to(endpoint: str, bucket: str = "locked-bucket", **given: Any) -> S3Copy:
    settings = S3CopySettings(
        kind="s3", bucket=bucket, prefix="decisions/", region="us-east-1", endpoint_url=endpoint, timeout_s=2, **given
    )
    return S3Copy("s3-1", settings)


def test_an_object_is_there_whole_and_cannot_be_deleted_before_its_time(
    client: Any, endpoint: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"line\n")
    copy = copy_to(endpoint, retention_days=30, mode="COMPLIANCE")
    assert not copy.has("name", 5)
    copy.put("name", source)
    assert copy.has("name", 5)
    with pytest.raises(CopyDiffers):
        copy.has("name", 6)
    found = client.get_object(Bucket="locked-bucket", Key="decisions/name")
    assert found["Body"].read() == b"line\n"
    assert found["ObjectLockMode"] == "COMPLIANCE"
    held_for = found["ObjectLockRetainUntilDate"] - now()
    assert datetime.timedelta(days=29, hours=23) < held_for <= datetime.timedelta(days=30)
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        client.delete_object(Bucket="locked-bucket", Key="decisions/name", VersionId=found["VersionId"])
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        client.delete_object(
            Bucket="locked-bucket", Key="decisions/name", VersionId=found["VersionId"], BypassGovernanceRetention=True
        )


def test_a_single_checkpoint_is_an_object_of_its_own(client: Any, endpoint: str) -> None:
    copy = copy_to(endpoint, mode="GOVERNANCE")
    copy.put_checkpoint("until", b"checkpoint\n")
    copy.sealed("eu-1/0123456789abcdef", 1)
    found = client.get_object(Bucket="locked-bucket", Key="decisions/until")
    assert (found["Body"].read(), found["ObjectLockMode"]) == (b"checkpoint\n", "GOVERNANCE")


def test_what_somebody_else_put_there_without_a_lock_does_not_count(client: Any, endpoint: str) -> None:
    client.put_object(Bucket="locked-bucket", Key="decisions/foreign", Body=b"line\n")
    assert not copy_to(endpoint).has("foreign", 5)


def test_a_bucket_that_is_not_there_is_told_by_its_word(client: Any, endpoint: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"line\n")
    with pytest.raises(CopyFailed, match="NoSuchBucket"):
        copy_to(endpoint, bucket="no-such-bucket").put("name", source)


def test_a_store_that_cannot_be_reached_is_told_by_its_word(client: Any, tmp_path: Path) -> None:
    copy = copy_to("http://127.0.0.1:1")
    with pytest.raises(CopyFailed, match="EndpointConnectionError"):
        copy.put_checkpoint("name", b"")
    with pytest.raises(CopyFailed, match="EndpointConnectionError"):
        copy.has("name", 1)
