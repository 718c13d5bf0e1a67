"""What the first bytes of an Opus packet say. Source: RFC 6716, section 3; RFC 7845, section 5.1, for OpusHead."""

from __future__ import annotations

from typing import NamedTuple

from gateway.audio.faults import undecodable

OPUS_RATE_HZ = 48_000
"""Opus always decodes at this rate, whatever went into the encoder."""
MAX_PACKET_SAMPLES = 5_760
"""120 ms."""
MAX_PACKET_BYTES = 64 * 1024
"""Above the longest that eight channels can take."""

_SILK_SAMPLES = (480, 960, 1_920, 2_880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)


def packet_samples(packet: bytes) -> int | None:
    """How long a packet is, in samples at 48 kHz; None if it is no packet."""
    if not packet:
        return None
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        frame_samples = _SILK_SAMPLES[configuration & 3]
    elif configuration < 16:
        frame_samples = _HYBRID_SAMPLES[configuration & 1]
    else:
        frame_samples = _CELT_SAMPLES[configuration & 3]
    if code < 3:
        frames = 2 if code else 1
    elif len(packet) > 1:
        frames = packet[1] & 0x3F
    else:
        return None
    samples = frames * frame_samples
    return samples if 0 < samples <= MAX_PACKET_SAMPLES else None


class OpusHead(NamedTuple):
    """`extradata` is the header with a pre-skip of 0: what is skipped is counted outside the codec."""

    channels: int
    pre_skip_samples: int
    extradata: bytes


def parse_opus_head(head: bytes) -> OpusHead:
    """Raises ClientFault for a header that RFC 7845 does not allow."""
    if head[:8] != b"OpusHead" or len(head) < 19 or head[8] >> 4:
        raise undecodable("Opus must begin with an `OpusHead` of version 1 and at least 19 bytes")
    channels, family = head[9], head[18]
    if family:
        num_streams, num_coupled = (head[19], head[20]) if len(head) >= 21 + channels else (0, 0)
        is_sound = 0 < num_streams + num_coupled <= 255 and num_coupled <= num_streams and num_streams
        if not is_sound or any(
            index >= num_streams + num_coupled for index in head[21 : 21 + channels] if index != 255
        ):
            raise undecodable("the channel mapping of the `OpusHead` is not one that RFC 7845 allows")
    if not 1 <= channels <= (8 if family else 2):
        raise undecodable(f"an `OpusHead` of mapping family {family} cannot have {channels} channels")
    return OpusHead(channels, int.from_bytes(head[10:12], "little"), head[:10] + b"\0\0" + head[12:])
