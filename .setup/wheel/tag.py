"""Names the wheel after what is in it: a program for one kind of machine, for any Python 3."""

import platform

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Tag(BuildHookInterface):
    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        # auditwheel puts a tag of manylinux in its place, once it has found that it holds.
        build_data["tag"] = f"py3-none-linux_{platform.machine()}"
