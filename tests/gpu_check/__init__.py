"""The checks of `tests/gpu_check.py`, one file for each kind. Standard library only; `bench/compare.py` is found
beside this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
