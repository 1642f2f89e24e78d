"""Which of the installed packages have known faults.

Rule: pure; the faults are data, and a version that cannot be read is no fault.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from importlib import resources

import msgspec

from midstream.doctor.render import Finding, Severity

PACKAGES = (
    "midstream anthropic httpx httpx2 httpcore httpcore2 h2 aiohttp botocore boto3 google-auth requests urllib3 certifi"
    " truststore openai litellm langchain-anthropic uvicorn starlette fastapi gunicorn msgspec httptools uvloop"
).split()
"""Those that may stand between a program and its stream."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of one package."""

    id: str
    package: str
    severity: Severity
    title: str
    means: str
    fix: str
    source: str
    before: str = ""
    """The first version without it; none: all have it."""

    def has(self, version: str) -> bool:
        """Whether this version has it."""
        return not self.before or numbers(version) < numbers(self.before)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fault: list[Fault]


@functools.cache
def faults() -> tuple[Fault, ...]:
    """All that are known."""
    data = resources.files("midstream.doctor.check").joinpath("versions.toml").read_bytes()
    return tuple(msgspec.toml.decode(data, type=_File).fault)


def numbers(version: str) -> tuple[int, int, int]:
    """The first three numbers of a version. One that has none is later than all: nothing is known against it."""
    found = [int(number) for number in re.findall(r"\d{1,9}", re.split(r"[-+a-z]", version, maxsplit=1)[0])]
    if not found:
        return (1 << 30, 0, 0)
    one, two, three, *_ = [*found, 0, 0]
    return one, two, three


def version_findings(installed: Mapping[str, str]) -> Iterator[Finding]:
    """What is known against what is installed."""
    for fault in faults():
        version = installed.get(fault.package)
        if version is not None and fault.has(version):
            yield Finding(
                fault.severity,
                fault.title,
                id=fault.id,
                place=f"{fault.package} {version}",
                means=fault.means,
                fix=fault.fix,
                versions=f"cured in {fault.before}" if fault.before else "",
                sources=(fault.source,),
            )
