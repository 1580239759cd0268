#!/usr/bin/env python3
"""Prints how many floating-point operations per second this machine does in torch's matrix products."""

import argparse
import json
import statistics
import time

import torch

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--threads", type=int)
parser.add_argument("--size", type=int, default=2048)
parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
parser.add_argument("--cuda", action="store_true")
parser.add_argument("--seconds", type=float, default=3.0, help="how long to measure")
args = parser.parse_args()
if args.threads:
    torch.set_num_threads(args.threads)
device = torch.device("cuda" if args.cuda else "cpu")
a, b = (torch.randn(args.size, args.size, device=device).to(getattr(torch, args.dtype)) for _ in range(2))


def product():
    started = time.perf_counter()
    a @ b
    if args.cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


warm = [product() for _ in range(3)]
took = [product() for _ in range(max(3, min(1000, int(args.seconds / min(warm)))))]
print(json.dumps(dict(
    flops=2 * args.size**3 / statistics.median(took),
    device=torch.cuda.get_device_name() if args.cuda else "cpu")))
