"""How fast, and in how much memory, a simulated Sentinel-2 scene is mapped.

::

    python benchmarks/map_scene.py [--sizes 2745,10980] [--models mndwi,unet] [--base 16] [--work FOLDER] [--json]

For each size and model: wall and CPU seconds of ``geoseg map`` as a whole process, megapixels of the scene a second
(the grid around its box in degrees is larger, which ``grid`` tells), peak resident memory, and for a network the
pipeline's efficiency: seconds of the bare network over the same windows, divided by the wall seconds of the map step.
The same windows are those of the map's own grid that show anything observed; the map asks the network about no other.
The bare network is timed both ways that a CPU can run it (batches over all cores, one chip a core), right after the
map, and the faster counts. ``cpu_ratio`` is the same in CPU seconds, the map's being those of the whole process less
those of its start: on a busy machine it says more than the wall clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoseg.catalog.cards import ModelCard

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
DATE = "2024-06-15"
MOST_BARE_WINDOWS = 400
"""More windows than these say nothing more about seconds a window."""


def measured(arguments: list[str]) -> tuple[float, float, float, dict[str, Any]]:
    """Wall seconds, CPU seconds, peak resident MiB and JSON answer of a geoseg command in a process of its own."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "geoseg", *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"geoseg {' '.join(arguments)} failed with status {status}")
    wall = time.perf_counter() - started
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, json.loads(answer)


def bundle(folder: Path, base: int) -> Path:
    """A plain U-Net with random weights, as a bundle: what its weights are does not change its speed."""
    import torch

    from geoseg.catalog.cards import Architecture, ModelCard
    from geoseg.models.bundle import save_bundle
    from geoseg.models.registry import build

    torch.manual_seed(0)
    architecture = Architecture(name="unet", options={"base": base})
    card = ModelCard(
        name=f"unet-{base}",
        title="Benchmark",
        family="cnn",
        architecture=architecture,
        sensors=("s2",),
        bands=BANDS,
        unit="reflectance",
        chip_px=256,
        overlap_px=64,
    )
    save_bundle(folder, build("unet", len(BANDS), 1, base=base), card)
    return folder


def windows_asked(card: ModelCard, source: Path) -> int:
    """Windows of the map's grid that show anything observed, as ``source.tif`` tells."""
    import rasterio

    from geoseg.inference.windows import WindowPlan

    with rasterio.open(source) as file:
        observed = file.read(1) != file.nodata
    plan = WindowPlan.over(observed.shape, card.chip_px or 256, card.overlap_px)
    spans = [[axis.inside(k) for k in range(axis.count)] for axis in (plan.y, plan.x)]
    return sum(bool(observed[slice(*y), slice(*x)].any()) for y in spans[0] for x in spans[1])


def bare_seconds(model: Path, source: Path, batch: int) -> tuple[float, float, int]:
    """Wall and CPU seconds of the network alone over as many windows as the map asked it about, and that number."""
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from geoseg.models.create import load_model

    network = load_model(str(model))
    module, cores = network.module, os.cpu_count() or 1  # type: ignore[attr-defined]
    windows = windows_asked(network.card, source)
    count = min(windows, MOST_BARE_WINDOWS) // batch * batch
    chips = torch.rand(batch, len(BANDS), 256, 256)

    def one(_: int) -> None:
        with torch.inference_mode():
            module(chips[:1])

    with torch.inference_mode():
        module(chips)
        started, burnt = time.perf_counter(), time.process_time()
        for _ in range(count // batch):
            module(chips)
        ways = [(time.perf_counter() - started, time.process_time() - burnt)]
    with ThreadPoolExecutor(cores, initializer=lambda: torch.set_num_threads(1)) as pool:
        list(pool.map(one, range(cores)))
        started, burnt = time.perf_counter(), time.process_time()
        list(pool.map(one, range(count)))
        ways.append((time.perf_counter() - started, time.process_time() - burnt))
    wall, cpu = min(ways)
    return wall / count * windows, cpu / count * windows, windows


def run(size: int, model: str, *, base: int, batch: int, work: Path) -> dict[str, Any]:
    """One row of the table."""
    from geoseg.simulate import write_benchmark_scene

    catalog = work / f"scene-{size}"
    if not catalog.exists():
        write_benchmark_scene(catalog, size, BANDS)
    item = json.loads((catalog / "items.json").read_text())["features"][0]
    west, south, east, north = item["bbox"]
    name = str(bundle(work / f"unet-{base}", base)) if model == "unet" else model
    out = work / f"out-{size}-{model}"
    area = ["--bbox=" + ",".join(map(str, (west, south, east, north))), "--date", item["properties"]["datetime"][:10]]
    options = ["--sensor", "s2", "--catalog", str(catalog), "--model", name, "--out", str(out), "--overwrite", "--yes"]
    wall, cpu, peak, answer = measured(["map", *area, *options, "--batch-size", str(batch), "--json", "-q"])
    row = {
        "model": f"unet, base {base}" if model == "unet" else model,
        "scene": f"{size} x {size}",
        "grid": _shape(answer),
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "mpx_per_s": round(size * size / 1e6 / wall, 2),
        "peak_rss_mib": round(peak),
        "map_step_s": answer["seconds"]["map"],
    }
    if model == "unet":
        bare, bare_cpu, windows = bare_seconds(Path(name), out / "source.tif", batch)
        row |= {"windows": windows, "bare_s": round(bare, 1), "efficiency": round(bare / answer["seconds"]["map"], 3)}
        row |= {"cpu_ratio": round(bare_cpu / (cpu - start_cpu()), 3)}
    return row


def _shape(answer: dict[str, Any]) -> str:
    rows, columns = json.loads(Path(answer["run"]).read_text())["grid"]["shape"]
    return f"{rows} x {columns}"


def start_cpu() -> float:
    """CPU seconds of bringing what a map by a network brings, and of nothing else."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-c", "import geoseg.pipeline, geoseg.models.bundle, matplotlib.figure"], check=True
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def start_up() -> dict[str, float]:
    """Best of seven: seconds of ``geoseg --help`` and of ``import geoseg``, less those of an empty Python."""

    def best(*command: str) -> float:
        seconds = []
        for _ in range(7):
            started = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
        return min(seconds)

    empty = best("-c", "pass")
    return {
        "help_s": round(best("-m", "geoseg", "--help"), 3),
        "import_s": round(best("-c", "import geoseg") - empty, 3),
        "empty_python_s": round(empty, 3),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="2745,10980")
    parser.add_argument("--models", default="mndwi,unet")
    parser.add_argument("--base", type=int, default=16, help="width of the U-Net")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "geoseg-benchmark")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = [
        run(int(size), model, base=options.base, batch=options.batch, work=options.work)
        for size in options.sizes.split(",")
        for model in options.models.split(",")
    ]
    result = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        **start_up(),
        "rows": rows,
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['machine']}; geoseg --help {result['help_s']} s; import geoseg {result['import_s']} s")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    print("| " + " | ".join(keys) + " |\n|" + "---|" * len(keys))
    for row in rows:
        print("| " + " | ".join(str(row.get(key, "")) for key in keys) + " |")


if __name__ == "__main__":
    main()
