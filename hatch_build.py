"""Compiles the way of the usual event (`midstream.usual`) while midstream is installed.

Rule: what cannot be compiled here is plain Python here: an installation never fails for want of a compiler, and never
uses what an earlier one compiled.

``MIDSTREAM_COMPILED=0`` leaves it plain; ``MIDSTREAM_COMPILED=1`` fails rather than that.
"""

import os
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "midstream.usual._compiled"
SOURCE = "src/midstream/usual/_compiled.pyx"


class CompiledHook(BuildHookInterface[Any]):
    """Called by hatchling before it gathers the files of a wheel, an editable one too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the compiled module, if there can be one."""
        wanted = os.environ.get("MIDSTREAM_COMPILED")
        if self.target_name != "wheel":
            return
        Path(self.root, place()).unlink(missing_ok=True)
        if wanted == "0":
            return
        try:
            compile_in_place(Path(self.root))
        except (Exception, SystemExit) as problem:
            # setuptools has an error of its own for each compiler, and exits for some.
            if wanted == "1":
                raise
            self.app.display_warning(f"{NAME} is not compiled, and stays plain Python: {problem}")
            return
        if version != "editable":  # there it is found beside its source
            build_data["pure_python"], build_data["infer_tag"] = False, True
            build_data["force_include"][str(Path(self.root, place()))] = place().relative_to("src").as_posix()


def place() -> Path:
    """Where the module stands for this interpreter: beside its source."""
    return Path(SOURCE).with_name("_compiled" + sysconfig.get_config_var("EXT_SUFFIX"))


def compile_in_place(root: Path) -> None:
    """Makes the module. Raises what the compiler raises."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    with tempfile.TemporaryDirectory() as scratch:
        before = Path.cwd()
        os.chdir(root)  # so that no path of this machine gets into the module
        try:
            slim = [] if os.name == "nt" else ["-g0"]  # what is for a debugger is more than half of it
            modules = cythonize([Extension(NAME, [SOURCE], extra_compile_args=slim)], build_dir=scratch, quiet=True)
            command = Distribution({"ext_modules": modules, "package_dir": {"": "src"}}).get_command_obj("build_ext")
            command.inplace, command.build_temp, command.build_lib = True, scratch, scratch
            command.ensure_finalized()
            command.run()
        finally:
            os.chdir(before)
