"""Starts the program with the libtorch of this Python environment, and imports no torch for it.

The program looks for libtorch in the package torch beside this one. Where torch lies elsewhere, as in
an environment that sees the system's packages, it is told so by LD_LIBRARY_PATH. Its own child
processes inherit that.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "bin", "lorasweep")
# The program is compiled against this line of releases, whose binary interface others do not share.
TORCH = "2.11."
EXIT_ENVIRONMENT = 5


def has_libtorch(torch):
    return os.path.isfile(os.path.join(torch, "lib", "libtorch_cpu.so"))


def elsewhere():
    """The folder of the package torch that Python would import, or None."""
    from importlib.util import find_spec

    spec = find_spec("torch")
    folders = spec.submodule_search_locations if spec else None
    return next(filter(has_libtorch, folders or []), None)


def version(torch):
    """What the package says of itself, without importing it."""
    try:
        with open(os.path.join(torch, "version.py"), encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("__version__")]
    except OSError:
        lines = []
    return lines[0].split("=", 1)[1].strip().strip("'\"") if lines else "of an unknown version"


def fail(message):
    print(f"error: {message}", file=sys.stderr)
    print(f"hint: {sys.executable} -m pip install 'torch=={TORCH}*'", file=sys.stderr)
    sys.exit(EXIT_ENVIRONMENT)


def main():
    beside = os.path.join(os.path.dirname(HERE), "torch")
    torch = beside if has_libtorch(beside) else elsewhere()
    if torch is None:
        fail(f"lorasweep trains with the libtorch of torch {TORCH}*, and this Python environment has no torch")
    found = version(torch)
    if not found.startswith(TORCH):
        fail(f"lorasweep needs torch {TORCH}*, and torch {found} is in {torch}")
    if torch != beside:
        paths = [os.path.join(torch, "lib"), os.environ.get("LD_LIBRARY_PATH")]
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, paths))
    os.execv(PROGRAM, ["lorasweep", *sys.argv[1:]])


if __name__ == "__main__":
    main()
