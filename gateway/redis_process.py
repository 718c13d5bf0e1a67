"""A redis-server for one region on this machine: `python -m gateway.redis_process --directory DIR --socket PATH`.

It listens on a socket file that only its user may open, writes every change to an append-only file, and ends with the
process that started it. Exit code 69 where no redis-server is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path

from engines.server.parent import ParentWatch

EXIT_UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""
_MAX_MEMORY = "512mb"
_ANSWER_S = 1.0
_POLL_S = 0.02


def server_arguments(directory: Path, socket: Path) -> list[str]:
    """What redis-server is started with. At its memory limit it refuses writes; it drops nothing."""
    return [
        *("redis-server", "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(directory), "--daemonize", "no", "--save", "", "--appendonly", "yes"),
        *("--appendfsync", "everysec", "--maxmemory", _MAX_MEMORY, "--maxmemory-policy", "noeviction"),
        # What the environment or a distribution says of logs must not send them elsewhere.
        *("--logfile", "", "--loglevel", "warning"),
    ]


async def until_it_answers(socket: Path) -> None:
    """Ask again and again; the caller bounds the wait."""
    while True:
        if await answers(socket):
            return
        await asyncio.sleep(_POLL_S)


async def answers(socket: Path) -> bool:
    """Whether it answers PING; while it still reads its file, it answers with an error."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.redis_process", allow_abbrev=False)
    parser.add_argument("--directory", type=Path, required=True, help="where its data is")
    parser.add_argument("--socket", type=Path, required=True, help="where it listens")
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.stderr.write("redis-server is not installed; scripts/setup.sh installs it\n")
        return EXIT_UNAVAILABLE
    arguments.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    ParentWatch()  # holds for the program that takes this process's place, too
    command = server_arguments(arguments.directory, arguments.socket)
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
