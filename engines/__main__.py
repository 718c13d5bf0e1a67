"""`python -m engines`: one engine process."""

from __future__ import annotations

import os
import sys

# gRPC's older poller hands each message to fewer threads, which costs less CPU: with grpcio 1.85, 11.9 instead of
# 14.3 µs for each audio command of 1,000 paced streams. It is read once, when grpc is first imported; a version that
# does not know a name says so in one line and goes on.
GRPC_EXPERIMENTS = "-event_engine_listener,-event_engine_for_all_other_endpoints,-event_engine_client"

if __name__ == "__main__":
    os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)
    from engines.server.main import main

    sys.exit(main(sys.argv[1:]))
