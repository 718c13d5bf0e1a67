"""A second copy in an S3 bucket with Object Lock: nobody changes or deletes an object before its time.

The bucket must have been made with Object Lock; S3 refuses what is put with a retention otherwise. Loaded only where
settings name a bucket: boto3 is an extra.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import botocore.exceptions

from gateway.decision_log.copies import CopyDiffers, CopyFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.decision_log.settings import S3CopySettings


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class S3Copy:
    """A CopyPlace. Credentials are found as boto3 finds them."""

    def __init__(self, name: str, settings: S3CopySettings, *, utc_now: Callable[[], datetime.datetime] = now) -> None:
        self.name = name
        self._settings = settings
        self._now = utc_now
        config = botocore.config.Config(
            connect_timeout=settings.timeout_s,
            read_timeout=settings.timeout_s,
            retries={"total_max_attempts": 1},  # who calls tries again
        )
        self._client: Any = boto3.client(
            "s3", region_name=settings.region, endpoint_url=settings.endpoint_url, config=config
        )

    def has(self, name: str, size_bytes: int) -> bool:
        try:
            head = self._client.head_object(Bucket=self._settings.bucket, Key=self._key(name))
        except botocore.exceptions.ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return False
            raise _refused(error) from error
        except botocore.exceptions.BotoCoreError as error:
            raise CopyFailed(type(error).__name__) from error
        if not head.get("ObjectLockMode"):
            return False  # somebody else put it there, and may take it away
        if head["ContentLength"] != size_bytes:
            raise CopyDiffers(name)
        return True

    def put(self, name: str, path: Path) -> None:
        with path.open("rb") as body:
            self._put(name, body)

    def put_checkpoint(self, name: str, line: bytes) -> None:
        self._put(name, line)

    def sealed(self, writer: str, number: int) -> None:
        """Nothing can go before its time."""

    def _put(self, name: str, body: Any) -> None:
        settings = self._settings
        try:
            self._client.put_object(
                Bucket=settings.bucket,
                Key=self._key(name),
                Body=body,
                ContentType="application/jsonl",
                ChecksumAlgorithm="SHA256",
                ObjectLockMode=settings.mode,
                ObjectLockRetainUntilDate=self._now() + datetime.timedelta(days=settings.retention_days),
            )
        except botocore.exceptions.ClientError as error:
            raise _refused(error) from error
        except botocore.exceptions.BotoCoreError as error:
            raise CopyFailed(type(error).__name__) from error

    def _key(self, name: str) -> str:
        return f"{self._settings.prefix}{name}"


def _refused(error: botocore.exceptions.ClientError) -> CopyFailed:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    return CopyFailed(code if code.isalnum() and len(code) <= 64 else "unknown")
