#!/opt/patchbay/venv/bin/python
"""Enters this host into the load balancer's targets for QUIC, and takes it out: `enter`, `leave`, `server-id`.

Each target has a server id that no other has and that the host's connection ids carry; it follows from the instance id.
In Python with the bundle's own boto3, because the AWS CLI of an image may be older than server ids.

Environment: QUIC_TARGET_GROUP, QUIC_PORT, AWS_DEFAULT_REGION; METADATA, if not http://169.254.169.254.
"""

import hashlib
import os
import subprocess
import sys
import time
import urllib.request

import boto3

_METADATA = os.environ.get("METADATA", "http://169.254.169.254")
_LEAVE_WITHIN_S = 20


def metadata(path: str, *, method: str = "GET", headers: dict[str, str]) -> str:
    request = urllib.request.Request(f"{_METADATA}/latest/{path}", method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=2) as answer:
        return str(answer.read().decode())


def instance_id() -> str:
    token = metadata("api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return metadata("meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token})


def server_id(instance: str) -> str:
    """As AWS wants it: 0x and 16 hexadecimal digits in lower case."""
    return f"0x{hashlib.sha256(instance.encode()).hexdigest()[:16]}"


def is_coming_back() -> bool:
    """Whether the gateway fell, so that systemd starts it again. Its health check tells the load balancer meanwhile."""
    asked = ["systemctl", "show", "--property", "ActiveState", "--value", "patchbay-gateway"]
    state = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False).stdout.strip()
    return state in {"failed", "activating"}


def main(command: str) -> None:
    instance = instance_id()
    if command == "server-id":
        sys.stdout.write(f"{server_id(instance)}\n")
        return
    group = os.environ["QUIC_TARGET_GROUP"]
    target = {"Id": instance, "Port": int(os.environ["QUIC_PORT"])}
    balancers = boto3.client("elbv2")
    if command == "enter":
        balancers.register_targets(TargetGroupArn=group, Targets=[{**target, "QuicServerId": server_id(instance)}])
        return
    if is_coming_back():
        return  # entering anew takes minutes until clients come, starting anew takes seconds
    balancers.deregister_targets(TargetGroupArn=group, Targets=[target])
    # No new connections come once it is said to drain; what is there goes on.
    ends_at = time.monotonic() + _LEAVE_WITHIN_S
    while time.monotonic() < ends_at:
        health = balancers.describe_target_health(TargetGroupArn=group, Targets=[target])["TargetHealthDescriptions"]
        if not health or health[0]["TargetHealth"]["State"] in {"draining", "unused"}:
            return
        time.sleep(1)


if __name__ == "__main__":
    if sys.argv[1:] not in (["enter"], ["leave"], ["server-id"]):
        sys.exit("usage: patchbay-quic-target enter | leave | server-id")
    main(sys.argv[1])
