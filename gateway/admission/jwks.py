"""Keys of one issuer, kept up to date: rotation, stale while revalidating, outage.

These must stay true:
  - Only `run` reads the document, so there is never more than one read at a time.
  - Reads begin at least `min_refresh_interval_s` apart, whatever the callers ask for.
  - Looking up a key that is known never waits.
  - "This key is unknown" is said only when the last read succeeded; otherwise the honest answer is "we cannot tell".
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.admission.jwks_documents import FileDocument, UrlDocument
from gateway.admission.keys import KeySet, KeysUnreadable, VerificationKey, key_set_of, parse_key_set, secret_key
from gateway.errors import Reason, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from gateway.admission.jwks_documents import KeyDocument
    from gateway.admission.settings import IssuerSettings, KeyRefreshSettings

log = structlog.get_logger()


class IssuerKeys(Protocol):
    """The keys of one issuer."""

    def known(self, kid: str) -> VerificationKey | None:
        """The key, if it is in use now. Does not wait."""

    async def find(self, kid: str) -> VerificationKey | None:
        """The key; where it is not known, after one more look at the source if that is due. None: no such key.

        Raises:
            Unavailable: `keys_unavailable`, as the source cannot be read.
        """

    async def run(self) -> None:
        """Keep the keys up to date until cancelled; belongs into a TaskGroup. Returns at once if they never change."""


class FixedKeys:
    """Keys that stand in the settings."""

    def __init__(self, key_set: KeySet) -> None:
        self._key_set = key_set

    def known(self, kid: str) -> VerificationKey | None:
        return self._key_set.by_kid.get(kid)

    async def find(self, kid: str) -> VerificationKey | None:
        return self.known(kid)

    async def run(self) -> None:
        return


class RotatingKeys:
    """Keys in a document that its issuer changes.

    `monotonic_s` never goes back; ages are measured with it.
    """

    def __init__(
        self,
        document: KeyDocument,
        *,
        issuer: str,
        algorithms: frozenset[str],
        settings: KeyRefreshSettings,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._document = document
        self._issuer = issuer
        self._algorithms = algorithms
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._key_set = KeySet(by_kid={})
        self._version = ""
        self._confirmed_at_s = -math.inf
        self._tried_at_s = -math.inf
        self._has_failed = True  # nothing was read yet, so nothing is known to be unknown
        self._is_reading = False
        self._wanted = asyncio.Event()
        self._read_done = asyncio.Event()  # of the read that runs or comes next; a new one for each
        self._num_waiting = 0

    def known(self, kid: str) -> VerificationKey | None:
        if self._age_s() >= self._settings.fresh_for_s:
            self._ask_for_read()
        return self._key_set.by_kid.get(kid) if self._is_usable() else None

    async def find(self, kid: str) -> VerificationKey | None:
        key = self.known(kid)
        if key is None and self._ask_for_read():
            await self._until_read()
            key = self.known(kid)
        if key is None and (self._has_failed or not self._is_usable()):
            raise self._unavailable()
        return key

    async def run(self) -> None:
        while True:
            await self._read()
            self._wanted.clear()
            pause_s = self._settings.min_refresh_interval_s if self._has_failed else self._settings.fresh_for_s
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _read(self) -> None:
        self._is_reading = True
        self._tried_at_s = self._monotonic_s()
        try:
            document = await self._document.read(self._version)
            if document is not None:
                key_set = parse_key_set(document.body, algorithms=self._algorithms, max_keys=self._settings.max_keys)
                self._take(key_set)
                self._version = document.version
        except KeysUnreadable as error:
            self._has_failed = True
            log.warning("keys.unreadable", issuer=self._issuer, cause=error.cause, detail=error.detail)
        else:
            self._has_failed = False
            self._confirmed_at_s = self._tried_at_s
        finally:
            self._is_reading = False
            self._read_done.set()
            self._read_done = asyncio.Event()

    def _take(self, key_set: KeySet) -> None:
        before, after = set(self._key_set.by_kid.values()), set(key_set.by_kid.values())
        if before != after or key_set.ignored != self._key_set.ignored:
            log.info(
                "keys.changed",
                issuer=self._issuer,
                keys=len(after),
                added=len(after - before),
                removed=len(before - after),
                ignored=[str(reason) for reason in key_set.ignored],
            )
        self._key_set = key_set

    def _ask_for_read(self) -> bool:
        """Whether a read runs, or now begins."""
        if self._is_reading:
            return True
        if self._monotonic_s() - self._tried_at_s < self._settings.min_refresh_interval_s:
            return False
        self._wanted.set()
        return True

    async def _until_read(self) -> None:
        if self._num_waiting >= self._settings.max_waiting:
            raise self._unavailable()
        self._num_waiting += 1
        try:
            async with asyncio.timeout(self._settings.fetch_timeout_ms / 1_000):
                await self._read_done.wait()
        except TimeoutError:
            raise self._unavailable() from None
        finally:
            self._num_waiting -= 1

    def _age_s(self) -> float:
        return self._monotonic_s() - self._confirmed_at_s

    def _is_usable(self) -> bool:
        return self._age_s() < self._settings.stale_for_s

    def _unavailable(self) -> Unavailable:
        wait_s = self._tried_at_s + self._settings.min_refresh_interval_s - self._monotonic_s()
        retry_after_ms = math.ceil(wait_s * 1_000) if wait_s > 0 else None
        return Unavailable(
            Reason.keys_unavailable,
            "the keys of this token's issuer cannot be read; try again",
            retry_after_ms=retry_after_ms,
        )


def keys_of(
    issuer: IssuerSettings,
    refresh: KeyRefreshSettings,
    http: aiohttp.ClientSession,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> IssuerKeys:
    """Build what one issuer's settings describe. Reads nothing yet."""
    if issuer.shared_secrets:
        secrets = {s.kid: secret_key(s.kid, s.value.get_secret_value().encode()) for s in issuer.shared_secrets}
        return FixedKeys(KeySet(by_kid=secrets))
    algorithms = frozenset(issuer.algorithms)
    document: KeyDocument
    if issuer.jwks_file is not None:
        document = FileDocument(issuer.jwks_file, max_bytes=refresh.max_document_bytes)
    elif issuer.jwks_url is not None:
        document = UrlDocument(
            issuer.jwks_url, http, timeout_ms=refresh.fetch_timeout_ms, max_bytes=refresh.max_document_bytes
        )
    else:
        return FixedKeys(key_set_of(issuer.static_keys, algorithms=algorithms))
    return RotatingKeys(
        document, issuer=issuer.issuer, algorithms=algorithms, settings=refresh, monotonic_s=monotonic_s
    )
