"""Processes of the load: how they are started, and what the kernel says about one of them.

Rule: nothing outlives the one who started it.
"""

import asyncio
import multiprocessing
import os
import resource
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

_SPAWN = multiprocessing.get_context("spawn")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def beside(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Another process; what it is told and tells goes through the pipe that it gets last."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.terminate()
        process.join()
        process.close()


def run_loop(story: Coroutine[Any, Any, None]) -> None:
    """Runs it on uvloop, where there is one, with as many files as may be."""
    many_files()
    try:
        import uvloop
    except ImportError:
        asyncio.run(story)
    else:
        uvloop.run(story)


def many_files() -> int:
    """Raises the limit of open files as far as it goes; children have it, too."""
    most: int = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Usage(NamedTuple):
    """What a process has used."""

    rss_bytes: int
    cpu_s: float


def usage(pid: int) -> Usage:
    """What a process has used until now. Linux only."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    # Behind the name, which may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Usage(pages * _PAGE_BYTES, (int(fields[11]) + int(fields[12])) / _TICKS)
