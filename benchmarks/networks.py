"""Convolutional networks as they are, and prepared for inference: one process, in turns, the fastest round of each.

    python benchmarks/networks.py            # every network
    python benchmarks/networks.py unet       # one of them

Ratios are what to read: absolute times carry the noise of the machine. Weights are random, which speed does not depend
on; the difference is of the logits, relative to the largest.
"""

from __future__ import annotations

import argparse
import platform
import time

import torch

from geoseg.models import create_model
from geoseg.models.optimize.prepare import prepare_for_inference

NETWORKS = (
    "unet",
    "attention-unet",
    "unetplusplus-efficientnet-b0",
    "unetplusplus-efficientnet-b4",
    "deeplabv3plus-resnet50",
    "transnorm",
)
BANDS, SIDE, ROUNDS = 6, 256, 8


def line(name: str, device: str) -> str:
    torch.manual_seed(0)
    network = create_model(name, bands=BANDS).to(device).eval()
    chip = torch.randn(1, BANDS, SIDE, SIDE, device=device)
    variants, cells = [network], []
    for backend in ("exact", "bf16"):
        faster, prepared = prepare_for_inference(network, chip, backend=backend)
        variants.append(faster)
        cells.append(f"{prepared.difference:.0e}")
    fastest = [float("inf")] * len(variants)
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for index, variant in enumerate(variants):
                start = time.perf_counter()
                variant(chip)
                if chip.is_cuda:
                    torch.cuda.synchronize()
                fastest[index] = min(fastest[index], time.perf_counter() - start)
    plain, exact, bf16 = fastest
    return (
        f"| {name} | {plain * 1e3:.0f} ms | {plain / exact:.2f}x ({cells[0]}) "
        f"| {plain / bf16:.2f}x ({cells[1]}) | {SIDE**2 / exact / 1e6:.2f} |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {arguments.device}\n")
    print(f"| network, {SIDE} px, {BANDS} bands | plain | exact (difference) | bf16 (difference) | exact, Mpx/s |")
    print("|---|---|---|---|---|")
    for each in arguments.names:
        print(line(each, arguments.device), flush=True)
