"""How much memory of the GPU is in use, as the driver tells it."""

import os
import re
import shutil
import subprocess
import threading
import time

from .checks import Failed


def used_mib(program):
    """By nvidia-smi, or where it is absent or does not tell, by the program's doctor."""
    if shutil.which("nvidia-smi"):
        visible = [entry.strip() for entry in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if entry.strip()]
        which = visible[program.index] if program.index < len(visible) else str(program.index)
        said = subprocess.run(["nvidia-smi", "-i", which, "--query-gpu=memory.used", "--format=csv,noheader,nounits"],
                              capture_output=True, text=True, check=False, timeout=60)
        if said.returncode == 0 and said.stdout.strip().isdecimal():
            return int(said.stdout)
    found = re.search(rf"cuda:{program.index} .*?(\d+) of (\d+) MiB free", program.doctor())
    if not found:
        raise Failed(f"nobody tells the memory of cuda:{program.index}")
    return int(found[2]) - int(found[1])


class Peak:
    """The most memory that is in use while something runs, beyond what was before; looked at several times a second."""

    def __init__(self, program):
        self.program, self.over = program, threading.Event()
        self.before = self.most = used_mib(program)
        self.looks = threading.Thread(target=self.look)

    def look(self):
        while not self.over.is_set():
            self.most = max(self.most, used_mib(self.program))
            time.sleep(0.1)

    def __enter__(self):
        self.looks.start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        self.looks.join()

    @property
    def mib(self):
        return float(self.most - self.before)
