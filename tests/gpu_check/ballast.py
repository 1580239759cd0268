#!/usr/bin/env python3
"""Takes the memory of a GPU, but for as many MiB as it is told on standard input, until that is closed.

    python3 ballast.py 0        # the GPU's number, as CUDA counts them

Says `ready`, or why it cannot; then, for the number it reads, how many MiB are left. Asks the driver alone.
"""

import ctypes
import sys


def main():
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        print(error, flush=True)
        return

    def call(name, *arguments):
        code = getattr(cuda, name)(*arguments)
        if code:
            print(f"{name} answers {code}", flush=True)
            sys.exit(1)

    device, context = ctypes.c_int(), ctypes.c_void_p()
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), int(sys.argv[1]))
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    print("ready", flush=True)

    def free_mib():
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value >> 20

    for line in sys.stdin:
        # What is freed meanwhile, or comes in pieces, is taken in further calls.
        while (excess := free_mib() - int(line)) > 2:
            call("cuMemAlloc_v2", ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t((excess - 1) << 20))
        print(free_mib(), flush=True)


if __name__ == "__main__":
    main()
