"""`python -m engines`: one engine process."""

from __future__ import annotations

import sys

from engines.server.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
