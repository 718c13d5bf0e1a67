"""What a gRPC status carries beside its code: `google.rpc.Status` with RetryInfo and QuotaFailure, and back.

It travels as `grpc-status-details-bin`. A status travels in headers, of which HTTP/2 libraries take 8 KiB and less: its
text is there twice, once percent-encoded and once in the details, so it is cut; the `error` message before it has all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

if TYPE_CHECKING:
    from gateway.wire.messages import ErrorMessage

DETAILS_METADATA = "grpc-status-details-bin"
_MAX_TEXT_BYTES = 1_000


def status_text(text: str) -> str:
    """As much of the text as a status may have; whole characters."""
    return text.encode()[:_MAX_TEXT_BYTES].decode(errors="ignore")


def status_details(error: ErrorMessage, *, grpc_code: int) -> bytes | None:
    """A serialised `google.rpc.Status`, or None where there is nothing to add to the code and its text.

    Its code and message are those of the call, as `grpc_status.rpc_status.from_call` insists on.
    """
    status = Status(code=grpc_code, message=status_text(error.message))
    if error.retry_after_ms is not None:
        delay = Duration()
        delay.FromMilliseconds(error.retry_after_ms)
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    if error.level is not None:
        violation = QuotaFailure.Violation(subject=error.level, description=error.reason)
        status.details.add().Pack(QuotaFailure(violations=[violation]))
    return status.SerializeToString() if status.details else None


def retry_after_ms_of(details: bytes) -> int | None:
    """The RetryInfo of `grpc-status-details-bin`; None where there is none, or where the bytes are something else."""
    try:
        status = Status.FromString(details)
        for detail in status.details:
            retry = RetryInfo()
            if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(retry):
                return int(retry.retry_delay.ToMilliseconds())
    except DecodeError:
        pass
    return None
