"""`python -m gateway --config FILE`: one gateway process."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvloop

from engines.server.parent import ParentWatch
from gateway.serve import serve
from gateway.settings import EXIT_WRONG_SETTINGS, SettingsRefused, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway", description="Run one gateway process.")
    parser.add_argument("--config", type=Path, default=None, help="settings file (TOML)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the process that started this dies")
    arguments = parser.parse_args()
    try:
        settings = load(arguments.config, os.environ)
    except SettingsRefused as refused:
        for mistake in refused.mistakes:
            sys.stderr.write(f"wrong setting: {mistake}\n")
        return EXIT_WRONG_SETTINGS
    if arguments.exit_with_parent:
        ParentWatch()  # the kernel sends SIGTERM when the parent dies
    uvloop.run(serve(settings, is_json=arguments.json))
    return 0


if __name__ == "__main__":
    sys.exit(main())
