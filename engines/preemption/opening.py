"""Makes the sources that the settings name. Importing this loads aiohttp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.preemption.aws import ENDPOINT as AWS_ENDPOINT
from engines.preemption.aws import AwsSource
from engines.preemption.azure import ENDPOINT as AZURE_ENDPOINT
from engines.preemption.azure import AzureSource
from engines.preemption.gcp import ENDPOINT as GCP_ENDPOINT
from engines.preemption.gcp import GcpSource
from engines.preemption.machine_share import MachineShare
from engines.preemption.trigger import TriggerSource

if TYPE_CHECKING:
    from engines.preemption.interface import PreemptionSource
    from engines.preemption.settings import PreemptionSettings, SourceSpec

_POLL_MS = {"aws": 5_000, "gcp": 1_000, "azure": 1_000}


async def open_sources(settings: PreemptionSettings) -> list[PreemptionSource]:
    """Raises OSError: the trigger's address cannot be listened on."""
    return [await _open(spec, settings) for spec in settings.sources]


async def _open(spec: SourceSpec, settings: PreemptionSettings) -> PreemptionSource:
    if spec.kind == "http":
        trigger = TriggerSource(host=spec.host, port=spec.port)
        await trigger.start()
        return trigger
    poll_s = (settings.poll_ms or _POLL_MS[spec.kind]) / 1_000
    if spec.kind == "aws":
        return AwsSource(endpoint=settings.endpoint or AWS_ENDPOINT, poll_interval_s=poll_s)
    if spec.kind == "gcp":
        return GcpSource(
            endpoint=settings.endpoint or GCP_ENDPOINT, poll_interval_s=poll_s, notice_ms=settings.notice_ms
        )
    share = MachineShare(settings.machine_file)
    share.join()
    return AzureSource(
        endpoint=settings.endpoint or AZURE_ENDPOINT,
        poll_interval_s=poll_s,
        machine=settings.machine,
        is_last=lambda: settings.acknowledges and share.leave_as_last(),
    )
