"""The decision log of a gateway, from its settings."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from typing import TYPE_CHECKING

import structlog

from gateway.decision_log.chain_writer import ChainLimits, ChainWriter
from gateway.decision_log.copies import Copier
from gateway.decision_log.copy_to_directory import DirectoryCopy
from gateway.decision_log.file_log import FileDecisionLog, wall_clock_ms
from gateway.decision_log.interface import NoDecisionLog
from gateway.decision_log.left_behind import LeftBroken, seal_as_found, unsealed_files, writers_seen
from gateway.decision_log.metrics import DecisionLogMetrics
from gateway.decision_log.old_files import delete_old_files
from gateway.decision_log.settings import DirectoryCopySettings
from gateway.decision_log.signing import KeyUnusable, Signer, load_signer
from policies.residency.record_chain.chain import writer_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry

    from gateway.decision_log.copies import CopyPlace
    from gateway.decision_log.interface import DecisionLog
    from gateway.decision_log.settings import CopySettings, DecisionLogSettings
    from policies.residency.record_chain.checkpoint import Checkpoint

log = structlog.get_logger("decision_log")

_CLOSE_WITHIN_S = 5.0
_DAY_MS = 86_400_000
_BESIDE_EVERY_S = 3_600.0


class DecisionLogRefused(Exception):
    """The settings cannot be used; the text says why."""


@contextlib.asynccontextmanager
async def decision_log(
    settings: DecisionLogSettings | None, *, region: str, registry: CollectorRegistry
) -> AsyncIterator[DecisionLog]:
    """Open it; at the end what waits is written. A directory that cannot be written makes a log that is not writable.

    Raises:
        DecisionLogRefused: the key cannot be read, or boto3 is missing.
    """
    if settings is None:
        yield NoDecisionLog()
        return
    running = _Running(settings, region, registry)
    await asyncio.to_thread(running.start)
    try:
        yield running.log
    finally:
        await asyncio.to_thread(running.stop)


class _Running:
    """The writer, its copiers, and what is done now and then beside them."""

    def __init__(self, settings: DecisionLogSettings, region: str, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._signer = _signer(settings)
        self._writer = writer_name(region, secrets.token_hex(8))
        metrics = DecisionLogMetrics(registry)
        self._copiers = [
            Copier(settings.directory, place, metrics, checkpoint_interval_s=settings.copy_checkpoint_s)
            for place in _places(settings.copies)
        ]
        limits = ChainLimits(
            checkpoint_records=settings.checkpoint_records,
            checkpoint_ms=settings.checkpoint_s * 1_000,
            rotate_bytes=settings.rotate_bytes,
            rotate_ms=settings.rotate_s * 1_000,
        )
        chain = ChainWriter(
            settings.directory,
            self._writer,
            limits,
            self._signer,
            now_ms=wall_clock_ms,
            seen=lambda: writers_seen(settings.directory, but=self._writer),
        )

        def on_checkpoint(checkpoint: Checkpoint) -> None:
            metrics.checkpoints.inc()
            for copier in self._copiers:
                copier.look_again(checkpoint)

        chain.on_checkpoint = on_checkpoint
        chain.on_lost = lambda file, why: log.error("decision_log.file_lost", file=file, why=why)
        self.log = FileDecisionLog(chain, settings, metrics)
        self._told_to_go: set[str] = set()
        self._stop = threading.Event()
        self._beside = threading.Thread(target=self._run_beside, name="decision-log-beside", daemon=True)

    def start(self) -> None:
        self.log.start()
        log.info("decision_log.began", writer=self._writer, is_signed=self._signer is not None)
        self._beside.start()
        for copier in self._copiers:
            copier.start()

    def stop(self) -> None:
        self._stop.set()
        if not self.log.close(_CLOSE_WITHIN_S):
            log.error("decision_log.not_closed", records=self.log.num_waiting)
        for copier in self._copiers:
            copier.stop(_CLOSE_WITHIN_S)
        self._beside.join(_CLOSE_WITHIN_S)

    def _run_beside(self) -> None:
        while not self._stop.is_set():
            self._seal_what_was_left()
            self._delete_old_files()
            self._stop.wait(_BESIDE_EVERY_S)

    def _seal_what_was_left(self) -> None:
        directory = self._settings.directory
        try:
            left = unsealed_files(directory, but=self._writer)
        except OSError:
            return
        for file in left:
            try:
                found = seal_as_found(directory, file, by=self._writer, signer=self._signer, now_ms=wall_clock_ms())
            except LeftBroken as broken:
                log.error("decision_log.left_broken", where=str(broken))
                continue
            except OSError as error:
                log.warning("decision_log.not_sealed", file=file.name, why=error.strerror)
                continue
            if found is not None:
                log.warning(
                    "decision_log.sealed_as_found",
                    file=found.file,
                    records=found.num_records,
                    torn_bytes=found.torn_bytes,
                )
        for copier in self._copiers:
            copier.look_again()

    def _delete_old_files(self) -> None:
        settings = self._settings
        if not settings.keep_days:
            return
        before_ms = wall_clock_ms() - settings.keep_days * _DAY_MS
        with contextlib.suppress(OSError):
            delete_old_files(
                settings.directory,
                self.log,
                self._told_to_go,
                sealed_before_ms=before_ms,
                is_copied=lambda name: all(copier.has(name) for copier in self._copiers),
            )


def _signer(settings: DecisionLogSettings) -> Signer | None:
    if settings.signing_key_file is None:
        log.warning("decision_log.unsigned")
        return None
    try:
        return load_signer(settings.signing_key_file)
    except KeyUnusable as unusable:
        raise DecisionLogRefused(f"decision_log.signing_key_file: {unusable}") from None


def _places(copies: tuple[CopySettings, ...]) -> list[CopyPlace]:
    return [_place(f"{copy.kind}-{number}", copy) for number, copy in enumerate(copies, start=1)]


def _place(name: str, copy: CopySettings) -> CopyPlace:
    if isinstance(copy, DirectoryCopySettings):
        return DirectoryCopy(name, copy.directory)
    try:
        from gateway.decision_log.copy_to_s3 import S3Copy
    except ImportError as error:
        raise DecisionLogRefused("decision_log.copies: S3 needs the extra `s3` (boto3)") from error
    return S3Copy(name, copy)
