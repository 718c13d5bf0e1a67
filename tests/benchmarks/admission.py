"""What it costs to verify a token: never seen before, seen before, and by PyJWT alone. One process, no network."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import jwt

from gateway.admission.settings import TokenSettings
from gateway.admission.tokens import token_verifier
from tests.benchmarks.document import machine_line, markdown_table, write_section
from tests.benchmarks.measures import Spread, machine
from tests.benchmarks.targets import Issuer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.admission.tokens import TokenVerifier

_ROUNDS = 5
_CACHED_CALLS = 20


async def _microseconds(verifier: TokenVerifier, tokens: Sequence[str], now_s: int) -> float:
    began_at_ns = time.perf_counter_ns()
    for token in tokens:
        await verifier.verify(token, now_s=now_s)
    return (time.perf_counter_ns() - began_at_ns) / 1e3 / len(tokens)


def _microseconds_of_pyjwt(issuer: Issuer, algorithm: str, tokens: Sequence[str]) -> float:
    key, settings = issuer.public_key(algorithm), issuer.settings()
    began_at_ns = time.perf_counter_ns()
    for token in tokens:
        jwt.decode(token, key, algorithms=[algorithm], audience=settings["audience"], issuer=settings["issuer"])
    return (time.perf_counter_ns() - began_at_ns) / 1e3 / len(tokens)


async def _row(verifier: TokenVerifier, issuer: Issuer, algorithm: str, count: int) -> list[str]:
    now_s = int(time.time())
    cold, cached, bare = [], [], []
    for _ in range(_ROUNDS):
        tokens = [issuer.token(algorithm) for _ in range(count)]
        bare.append(_microseconds_of_pyjwt(issuer, algorithm, tokens))
        cold.append(await _microseconds(verifier, tokens, now_s))
        cached.append(await _microseconds(verifier, tokens[-1:] * count * _CACHED_CALLS, now_s))
    ratio = Spread.of([ours / theirs for ours, theirs in zip(cold, bare, strict=True)])
    return [
        algorithm,
        Spread.of(cold).shown(),
        Spread.of(bare).shown(),
        ratio.shown(2),
        Spread.of(cached).shown(2),
    ]


async def _measure(count: int) -> str:
    issuer = Issuer()
    settings = TokenSettings.model_validate({"issuers": [issuer.settings()]})
    async with aiohttp.ClientSession() as http:
        verifier = token_verifier(settings, http)
        rows = [await _row(verifier, issuer, algorithm, count) for algorithm in issuer.algorithms]
    header = ["µs a token", "never seen", "PyJWT alone", "ratio", "seen before"]
    return f"{machine_line(machine())}\n\n{markdown_table(header, rows)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.admission", description=__doc__)
    parser.add_argument("--short", action="store_true", help="that it runs, not how fast")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    text = asyncio.run(_measure(5 if arguments.short else 300))
    print(text)
    if arguments.write_docs:
        write_section("admission", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
