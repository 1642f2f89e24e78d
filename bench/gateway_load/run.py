"""The three parts: many streams at a pace, silent streams, slow and stopped readers; each on a gateway of its own.

Rule: the gateway is a process of its own, started as a user starts it, with its journal at full sync; so are the
service and the clients.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any
from urllib.request import urlopen

from bench.gateway_load import source, upstream
from bench.gateway_load.clients import Crowd, Slow, Told, read_all, read_slowly, stay
from bench.gateway_load.process import Usage, beside, many_files, usage
from tests.gateway.gateways import Gateway, running

CROWDS = 2
"""Processes that the clients are shared out among."""
LIMITS = ("--streams-max", "20000", "--streams-per-owner-max", "20000", "--connections-max", "20000")


@dataclass
class Sample:
    """The gateway at a moment."""

    at_s: float
    rss_bytes: int
    cpu: float
    """Of one core, since the sample before."""


@dataclass
class Result:
    """What a part measured."""

    samples: list[Sample] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    cpu_s: float = 0.0
    """Of the gateway, from the first request to the last byte."""
    took_s: float = 0.0
    idle_bytes: float = 0.0
    """RSS for each silent stream."""
    cut: int = 0
    """Readers that were cut off."""
    cut_after_s: float = 0.0
    """From when they stopped reading until nobody was left."""

    @property
    def whole(self) -> int:
        """Streams that arrived as they were played, to their end."""
        return sum(told.whole for told in self.told)

    @property
    def frames(self) -> int:
        """That arrived."""
        return sum(told.frames for told in self.told)

    @property
    def wrong(self) -> list[str]:
        """What did not."""
        return [line for told in self.told for line in told.wrong]

    @property
    def growth_bytes(self) -> int:
        """From the first sample to the largest."""
        return max(sample.rss_bytes for sample in self.samples) - self.samples[0].rss_bytes


Tell = Callable[[str], None]


class Stage:
    """A gateway in front of the service, and an eye on it."""

    def __init__(self, gateway: Gateway, tell: Tell) -> None:
        self.gateway = gateway
        self.result = Result()
        self._tell = tell
        self._begun_at = time.monotonic()
        self._first = self._last = self.usage()
        self._last_at = self._begun_at
        self.sample()

    def usage(self) -> Usage:
        """Of the gateway, until now."""
        return usage(self.gateway.process.pid)

    def sample(self) -> None:
        """Looks at the gateway."""
        now, used = time.monotonic(), self.usage()
        cpu = (used.cpu_s - self._last.cpu_s) / max(now - self._last_at, 1e-9)
        sample = Sample(now - self._begun_at, used.rss_bytes, cpu)
        self.result.samples.append(sample)
        self._last, self._last_at = used, now
        self._tell(f"  {sample.at_s:6.1f} s  RSS {used.rss_bytes / 1e6:7.1f} MB  CPU {sample.cpu:5.0%}")

    def watch(self, pipes: list[Connection], every_s: float) -> list[Any]:
        """Looks every so often, until each of the pipes has something to say."""
        said, due = [], time.monotonic() + every_s
        for pipe in pipes:
            while not pipe.poll(max(0.0, due - time.monotonic())):
                self.sample()
                due += every_s
            said.append(pipe.recv())
        return said

    def metric(self, name: str) -> float:
        """A number of the second port."""
        with urlopen(f"{self.gateway.control_url}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.search(rf"(?m)^midstream_{name} (\S+)$", text)
        assert found, f"there is no {name} among the metrics"
        return float(found[1])

    def done(self) -> Result:
        """The end."""
        self.sample()
        self.result.took_s = time.monotonic() - self._begun_at
        self.result.cpu_s = self._last.cpu_s - self._first.cpu_s
        return self.result


@contextmanager
def stage(tell: Tell, *arguments: str) -> Iterator[Stage]:
    """A gateway that has nothing to do yet."""
    many_files()
    with ExitStack() as stack:
        port = stack.enter_context(beside(upstream.serve)).recv()
        gateway = running(f"http://127.0.0.1:{port}", *LIMITS, *arguments, env={})
        yield Stage(stack.enter_context(gateway), tell)


def shares(count: int) -> list[range]:
    """The numbers of the streams, for each of the processes."""
    return [range(count)[at::CROWDS] for at in range(min(CROWDS, count))]


def paced(streams: int, tempo: source.Tempo, tell: Tell, *arguments: str, every_s: float = 5.0) -> Result:
    """So many streams at once."""
    with stage(tell, *arguments) as on, ExitStack() as stack:
        crowds = [Crowd(on.gateway.port, numbers, tempo, 400 // CROWDS) for numbers in shares(streams)]
        pipes = [stack.enter_context(beside(read_all, crowd)) for crowd in crowds]
        on.watch(pipes, every_s)
        tell(f"  {streams:,} clients are here")
        on.result.told = on.watch(pipes, every_s)
        return on.done()


def silent(streams: int, tell: Tell, *arguments: str, settle_s: float = 3.0) -> Result:
    """So many streams that have said one thing, and then nothing."""
    tempo = source.Tempo(events=1, every=1, ends=False)
    with stage(tell, "--ping-s", "3600", *arguments) as on, ExitStack() as stack:
        # What the first streams make it load and learn is not theirs alone.
        for numbers in (range(streams, streams + 50), *shares(streams)):
            crowd = Crowd(on.gateway.port, numbers, tempo)
            pipe = stack.enter_context(beside(stay, crowd))
            here = sum(on.watch([pipe], 60.0))
            assert here == len(numbers), f"{here} of {len(numbers)} silent streams have begun"
            time.sleep(settle_s)
            on.sample()
            if numbers.start == streams:
                before = on.usage().rss_bytes
        on.result.idle_bytes = (on.usage().rss_bytes - before) / streams
        assert on.metric("streams_open") == streams + 50
        return on.done()


def lagging(readers: int, slow: Slow, tempo: source.Tempo, tell: Tell, *arguments: str) -> Result:
    """Readers that are slower than their streams, or stop, and want the rest later.

    Those that stop do so until all were cut off: that is waited for, and nothing else.
    """
    with stage(tell, "--on-leave", "finish", *arguments) as on:
        with beside(read_slowly, Crowd(on.gateway.port, range(readers), tempo), slow) as pipe:
            on.watch([pipe], 5.0)
            begun_at, result, sample_at = time.monotonic(), on.result, 0.0
            while (now := time.monotonic()) < begun_at + slow.seconds and not (slow.stops and result.cut == readers):
                if now >= sample_at:
                    on.sample()
                    sample_at = now + slow.seconds / 10
                left = readers - round(on.metric("readers_open"))
                if left > result.cut:
                    result.cut, result.cut_after_s = left, time.monotonic() - begun_at
                time.sleep(0.1)
            pipe.send("enough")
            result.cut = max(result.cut, pipe.recv())
            on.done()
            tell(f"  {result.cut} of {readers} readers were cut off; now they read what is left")
            result.told = on.watch([pipe], 5.0)
            return result
