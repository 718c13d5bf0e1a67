"""Foreign programs that are not in every environment: their tests stay away where they are not set up."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]

collect_ignore_glob = [] if (ROOT / ".venv-webtransport" / ".has").is_file() else ["test_pywebtransport.py"]
