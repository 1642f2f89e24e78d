"""Finds the interpreters of this machine that midstream supports.

Rule: an interpreter counts when it runs and can make an environment with pip in it; its name proves nothing (a shim
of pyenv stands in the PATH for versions that are not active). Runs on any Python 3, the ones too old included.

    python3 tools/pythons.py oldest     the path of the oldest
    python3 tools/pythons.py system     the one of the system, which distributions build for speed; else the oldest
    python3 tools/pythons.py venvs      for the oldest and the newest: the environment's folder and the path
"""

import glob
import os
import re
import subprocess
import sys

OLDEST = (3, 11)

NAME = re.compile(r"python3(\.[0-9]+)?")

# What a candidate is asked. A pre-release is no version that anybody was promised.
QUESTION = (
    "import sys, importlib.util as u; v = sys.version_info; "
    "print(v[0], v[1], int(v.releaselevel == 'final'), int(bool(u.find_spec('venv') and u.find_spec('ensurepip'))))"
)


def probe(path):
    """The minor version of the interpreter and whether it can make environments; ``None`` if it is not to be used."""
    try:
        answer = subprocess.check_output([path, "-c", QUESTION], stderr=subprocess.DEVNULL, text=True, timeout=30)
        major, minor, final, complete = (int(word) for word in answer.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    version = (major, minor)
    return (version, bool(complete)) if final and version >= OLDEST else None


def candidates(prefix):
    """Every path below `prefix` that may be an interpreter: those in the PATH first, then what pyenv keeps."""
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]
    paths = [path for folder in folders for path in sorted(glob.glob(os.path.join(glob.escape(folder), "python3*")))]
    paths += sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python3")))
    return [path for path in paths if path.startswith(prefix) and NAME.fullmatch(os.path.basename(path))]


def supported(prefix=""):
    """For each supported minor version, oldest first: ``(version, path)``. Says what a half installed one lacks."""
    found, incomplete = {}, {}
    for path in candidates(prefix):
        answer = probe(path)
        if answer is None:
            continue
        version, complete = answer
        (found if complete else incomplete).setdefault(version, path)
    for version, path in sorted(incomplete.items()):
        if version not in found:
            name = "python{}.{}-venv".format(*version)
            print(f"{path} cannot make environments; on Debian and Ubuntu: apt-get install {name}", file=sys.stderr)
    return sorted(found.items())


def environment(version):
    """The folder for this version's environment: ``.venv``, unless another version already lives there."""
    there = probe(os.path.join(".venv", "bin", "python"))
    if there is None or there[0] == version:
        return ".venv"
    return ".venv-{}.{}".format(*version)


def main(word):
    """Print what was asked for; 1 if there is no supported interpreter."""
    pythons = supported()
    if not pythons:
        wanted = ".".join(str(number) for number in OLDEST)
        print(f"midstream needs Python {wanted} or later, with its venv module, and found none", file=sys.stderr)
        return 1
    oldest, newest = pythons[0], pythons[-1]
    if word == "oldest":
        print(oldest[1])
    elif word == "system":
        print((supported("/usr/bin/") or pythons)[0][1])
    elif word == "venvs":
        print(environment(oldest[0]), oldest[1])
        if newest != oldest:
            print(".venv-{}.{}".format(*newest[0]), newest[1])
    else:
        print(f"tools/pythons.py: oldest, system or venvs, not {word!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
