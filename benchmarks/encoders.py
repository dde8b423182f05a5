"""Our foundation encoders against the published implementations: same weights, same input, one process, in turns.

    python tests/support/install_oracles.py
    python benchmarks/encoders.py                # every case, each in a process of its own
    python benchmarks/encoders.py clay-large     # one of them
    python benchmarks/encoders.py --device cuda --batch 8     # where there is a GPU: autocast for bf16

Each round runs every variant once; the fastest round of each counts, and ratios are what to read: absolute times carry
the noise of the machine. Weights are random (speed does not depend on them); the difference is from the published
implementation, relative to its largest output. Memory is what a forward takes over the weights, which are float32: four
bytes a parameter.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

WAVES = (0.493, 0.56, 0.665, 0.842, 1.61, 2.19)
Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """Variants of one computation; the first is the published one."""

    chip: Tensor
    variants: dict[str, Run]
    notes: str = ""


def copies(
    make: Callable[[], nn.Module], chip: Tensor, run: Callable[[nn.Module], Run] = lambda it: it
) -> dict[str, Run]:
    """Our network, prepared for each backend; ``run`` picks what is timed of it."""
    from geoseg.models.optimize.base import AutocastBf16
    from geoseg.models.optimize.encoders import optimize_encoder_network

    made: dict[str, Run] = {}
    for backend in ("exact", "bf16"):
        network = make()
        done = optimize_encoder_network(network, chip, backend="exact" if chip.is_cuda else backend)
        print(f"  {backend}: {'; '.join(done.steps)}", *done.refused, file=sys.stderr)
        asked = run(network)
        if chip.is_cuda and backend == "bf16":  # as geoseg.models.optimize.prepare does with a whole network
            asked = AutocastBf16(asked)
        made[f"geoseg {backend}"] = asked
    return made


def last_map(network: nn.Module) -> Run:
    """The encoder alone, as the published implementations are timed."""
    return lambda x: network.features(x).maps[-1]


def counted(network: nn.Module) -> str:
    total = sum(p.numel() for p in network.parameters()) / 1e6
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad) / 1e6
    return f"{total:.1f}M parameters, {trainable:.1f}M trainable"


def clay_large(batch: int) -> Case:
    """Clay v1.5 with its own head at 256 px, as the paper used it (the encoder frozen)."""
    from geoseg.models.registry import build
    from tests.support import oracles

    theirs = oracles.claymodel().Encoder(0.0, 8, False, 1024, 24, 16, 64, 4).eval()
    options = {"wavelengths_um": WAVES, "gsd_m": 10.0, "decoder": "pixelshuffle", "frozen": True}
    plain = build("clay-v1.5", len(WAVES), 2, **options).eval()
    plain.encoder.load_state_dict(theirs.state_dict())
    chip = torch.randn(batch, len(WAVES), 256, 256)
    head, notes = plain.decoder, counted(plain)
    facts = {"time": torch.zeros(batch, 4), "latlon": torch.zeros(batch, 4)}
    facts |= {"gsd": torch.tensor(10.0), "waves": torch.tensor(WAVES)}

    def published(x: Tensor) -> Tensor:
        cells = theirs({"pixels": x, **facts})[0][:, 1:].transpose(1, 2).reshape(len(x), 1024, 32, 32)
        return head.tail(head.mix(cells))

    def ours() -> nn.Module:
        network = build("clay-v1.5", len(WAVES), 2, **options)
        network.load_state_dict(plain.state_dict())
        return network.eval()

    return Case(chip, {"claymodel": published, **copies(ours, chip)}, notes)


def clay_head(batch: int) -> Case:
    """Clay's head alone, on 32x32 cells."""
    from geoseg.models.foundation.decoders.pixelshuffle import PixelShuffleDecoder

    head = PixelShuffleDecoder(1024, 2, patch=8).eval()
    folded = PixelShuffleDecoder(1024, 2, patch=8).eval()
    folded.load_state_dict(head.state_dict())
    with torch.no_grad():
        folded.fold()
    return Case(
        torch.randn(batch, 1024, 32, 32),
        {"plain": lambda x: head.tail(head.mix(x)), "geoseg fused": lambda x: folded.tail(folded.mix(x))},
        counted(head),
    )


def dofa_base(batch: int) -> Case:
    """DOFA-B at 224 px, pooled as torchgeo does."""
    return _dofa("base", batch)


def dofa_large(batch: int) -> Case:
    """DOFA-L at 224 px, pooled as torchgeo does."""
    return _dofa("large", batch)


def _dofa(size: str, batch: int) -> Case:
    from torchgeo.models import dofa as torchgeo_dofa

    from geoseg.models.registry import build

    theirs = getattr(torchgeo_dofa, f"dofa_{size}_patch16_224")(num_classes=0).eval()
    weights = theirs.state_dict()
    chip = torch.randn(batch, len(WAVES), 224, 224)

    def ours() -> nn.Module:
        network = build(f"dofa-{size}", len(WAVES), wavelengths_um=WAVES, decoder="linear")
        network.encoder.load_state_dict({key: weights[key] for key in network.encoder.state_dict()})
        return network.eval()

    def pooled(network: nn.Module) -> Run:
        return lambda x: theirs.fc_norm(last_map(network)(x).mean((2, 3)))

    published = {"torchgeo": lambda x: theirs.forward_features(x, list(WAVES))}
    return Case(chip, {**published, **copies(ours, chip, pooled)}, counted(theirs))


def prithvi_300(batch: int) -> Case:
    """Prithvi-EO 2.0 300M at 224 px, the last map."""
    return _prithvi("prithvi-eo-v2-300m", 1024, 24, 16, batch)


def prithvi_600(batch: int) -> Case:
    """Prithvi-EO 2.0 600M at 224 px, the last map."""
    return _prithvi("prithvi-eo-v2-600m", 1280, 32, 14, batch)


def _prithvi(name: str, width: int, depth: int, patch: int, batch: int) -> Case:
    from geoseg.models.registry import build
    from tests.support import oracles

    theirs = oracles.terratorch_prithvi().PrithviViT(
        patch_size=(1, patch, patch), in_chans=6, embed_dim=width, depth=depth, num_heads=16
    )
    theirs.eval()
    weights = theirs.state_dict()
    weights.pop("pos_embed")
    chip = torch.randn(batch, 6, 224, 224)

    def ours() -> nn.Module:
        network = build(name, 6, decoder="linear", norm_epsilon=1e-5)
        network.encoder.load_state_dict(weights, assign=True)
        return network.eval()

    def published(x: Tensor) -> Tensor:
        tokens = theirs.forward_features(x)[-1][:, 1:]
        side = 224 // patch
        return tokens.transpose(1, 2).reshape(len(x), width, side, side)

    return Case(chip, {"terratorch": published, **copies(ours, chip, last_map)}, counted(theirs))


CASES = {
    "clay-head": clay_head,
    "clay-large": clay_large,
    "dofa-base": dofa_base,
    "dofa-large": dofa_large,
    "prithvi-300": prithvi_300,
    "prithvi-600": prithvi_600,
}


def measured(case: Case, rounds: int) -> dict[str, dict[str, float]]:
    """Fastest seconds, and the difference from the first variant, of each."""
    best = dict.fromkeys(case.variants, float("inf"))
    with torch.inference_mode():
        outputs = {name: run(case.chip) for name, run in case.variants.items()}
        for _ in range(rounds):
            for name, run in case.variants.items():
                start = time.perf_counter()
                run(case.chip)
                if case.chip.is_cuda:
                    torch.cuda.synchronize()
                best[name] = min(best[name], time.perf_counter() - start)
        peaks = {name: forward_mib(run, case.chip) for name, run in case.variants.items()}
    first = next(iter(outputs.values()))
    return {
        name: {
            "seconds": best[name],
            "off": float((out - first).abs().max() / first.abs().max()),
            "mib": peaks[name],
        }
        for name, out in outputs.items()
    }


def forward_mib(run: Run, chip: Tensor) -> float:
    """Memory that one forward takes over what was there: of the GPU, or resident pages as Linux counts them."""
    if chip.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(chip)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the highest so far
    before = resident("VmRSS")
    run(chip)
    return (resident("VmHWM") - before) / 1024


def resident(key: str) -> int:
    """A figure of this process in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def one(name: str, rounds: int, device: str, batch: int) -> None:
    """Run one case here and print it as JSON."""
    with torch.device(device):
        case = CASES[name](batch)
        rows = measured(case, rounds)
    print(json.dumps({"case": name, "rows": rows, "notes": case.notes}))


def imports() -> None:
    """Seconds that each import takes in a fresh process, over torch."""
    print("\n| import | seconds over torch |\n|---|---|")
    for module in ("geoseg.models.foundation.model", "torchgeo.models"):
        code = f"import torch, time; s = time.perf_counter(); import {module}; print(time.perf_counter() - s)"
        command = [sys.executable, "-c", code]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
        print(f"| `{module}` | {min(float(run.stdout) for run in runs):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1, help="chips in a forward")
    parser.add_argument("--json", action="store_true", help="run the one case here and print JSON")
    given = parser.parse_args()
    if given.json:
        one(given.cases[0], given.rounds, given.device, given.batch)
        return
    machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    if given.device != "cpu":
        machine = torch.cuda.get_device_name(given.device)
    print(f"{machine}, torch {torch.__version__}, {given.batch} chips in a forward\n")
    print("| case | variant | seconds | chips/s | ratio | off | forward, MiB | |\n|---|---|---|---|---|---|---|---|")
    for name in given.cases or CASES:
        command = [sys.executable, __file__, name, "--json", "--rounds", str(given.rounds)]
        command += ["--device", given.device, "--batch", str(given.batch)]
        done = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        )
        first = next(iter(done["rows"].values()))["seconds"]
        for variant, row in done["rows"].items():
            notes = done["notes"] if row["seconds"] == first else ""
            speed = f"{row['seconds']:.3f} | {given.batch / row['seconds']:.2f} | {first / row['seconds']:.2f}"
            print(f"| {name} | {variant} | {speed} | {row['off']:.1e} | {row['mib']:.0f} | {notes} |", flush=True)
    imports()


if __name__ == "__main__":
    main()
