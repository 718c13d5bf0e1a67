"""`python -m gateway --config FILE`: one gateway process.

Exit codes: 0 drained, 64 wrong command line or settings, before any port is bound; 69 a port is taken.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path
from typing import NoReturn

import uvloop

from engines.__main__ import GRPC_EXPERIMENTS
from engines.server.core_dumps import forbid_core_dumps
from engines.server.parent import ParentWatch
from gateway.settings import EXIT_WRONG_SETTINGS, SettingsRefused, load

EXIT_ADDRESS_TAKEN = 69
"""EX_UNAVAILABLE of sysexits.h."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_WRONG_SETTINGS, f"{self.format_usage()}{message}\n")


def main() -> int:
    os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")  # what is forked becomes another program
    from gateway.listening import ListenFailed
    from gateway.serve import serve

    parser = _Parser(prog="python -m gateway", description="Run one gateway process.", allow_abbrev=False)
    parser.add_argument("--config", type=Path, default=None, help="settings file (TOML)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the process that started this dies")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config, os.environ)
        if not settings.core_dumps:
            forbid_core_dumps()
        if arguments.exit_with_parent:
            ParentWatch()  # the kernel sends SIGTERM when the parent dies
        # What was loaded stays: it need not be looked at again by each collection.
        gc.collect()
        gc.freeze()
        uvloop.run(serve(settings, is_json=arguments.json))
    except SettingsRefused as refused:
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong setting: {mistake}\n")
        return EXIT_WRONG_SETTINGS
    except ListenFailed as failed:
        sys.stderr.write(f"{failed}\n")
        return EXIT_ADDRESS_TAKEN
    return 0


if __name__ == "__main__":
    sys.exit(main())
