"""`patchbay engine preempt`: tell an engine that its machine goes away, as its cloud would."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from engines.proto import engine_pb2
from gateway.cli.engine_admin import EngineRefused, engine_admin
from policies.preemption import NoticeKind

_MAX_S = 86_400

Kind = Annotated[str, typer.Option(help="interruption, rebalance, maintenance or operator.")]


def preempt(
    engine: Annotated[str, typer.Argument(help="unix:/path or host:port of an engine, or its number, from 0.")],
    within_s: Annotated[int, typer.Option(min=0, max=_MAX_S, help="Until the machine goes; 0: nobody knows.")] = 30,
    kind: Kind = NoticeKind.interruption.value,
    is_proven: Annotated[bool, typer.Option("--proven", help="The time can be relied on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Empty an engine as a notice of its cloud would: it drains, leaves the registry and ends with exit code 0.

    Answers at once. Exit codes: 0 the engine was told; 64 wrong command line; 65 it is no such notice; 69 no engine
    there; 76 it is of a release that cannot do this.
    """
    request = engine_pb2.PreemptRequest(lead_ms=within_s * 1_000, kind=kind, is_proven=is_proven)
    try:
        with engine_admin(engine) as admin:
            reply = admin.preempt(request)
    except EngineRefused as refused:
        sys.stderr.write(f"{refused}\n")
        raise typer.Exit(refused.exit_code) from None
    if as_json:
        told = {
            "open_streams": reply.open_streams,
            "leaves_in_ms": reply.leaves_in_ms,
            "is_at_risk": reply.is_at_risk,
        }
        print(json.dumps(told))
        return
    if not reply.leaves_in_ms:
        print(f"{reply.open_streams} streams stay; new ones go elsewhere while other engines have room")
        return
    print(f"{reply.open_streams} streams should be gone in {reply.leaves_in_ms / 1_000:.1f} s; then the engine ends")
