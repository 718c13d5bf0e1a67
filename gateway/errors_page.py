"""Makes docs/errors.md from the table of reasons: `make docs`."""

from __future__ import annotations

import sys

from gateway.errors import TABLE, Fault

_GRPC_NAMES = {
    0: "OK",
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}

_HEAD = """# Errors and close reasons

Made from `gateway/errors.py` by `make docs`; a test compares them. A reason is the same word in the client's `error`
message, in the WebSocket close frame, in gRPC's `patchbay-reason` trailing metadata, in the HTTP header
`Patchbay-Reason`, in the metric label `patchbay_sessions_closed_total{reason}` and in the log line `session.closed`.

*Retry* says whether the same request can succeed later without a change; the time is the least to wait, and the
message's own `retry_after_ms` goes before it. A client's fault is not retried: it has to be mended. `client_gone` and
`finished` are never sent.
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD]
    for fault in Fault:
        rows = [(reason, row) for reason, row in TABLE.items() if row.fault is fault]
        parts.append(f"\n## Fault: {fault.value}\n")
        parts.append("| reason | WebSocket | HTTP | gRPC | retry | meaning |")
        parts.append("|---|---|---|---|---|---|")
        for reason, row in rows:
            retry = "no" if not row.retryable else f"after {row.retry_after_ms} ms"
            cells = (f"`{reason.value}`", row.ws_close, row.http, _GRPC_NAMES[row.grpc], retry, row.meaning)
            parts.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(parts) + "\n"


def main() -> None:
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
