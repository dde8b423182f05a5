"""Install what the parity tests compare with: ``python tests/support/install_oracles.py``.

They go into a folder of their own, because neither may enter the environment: claymodel pins an old torch and lays
modules called ``model`` and ``utils`` into site-packages, terratorch changes torch's global settings when imported.
Without their dependencies they take 7 MB and a few seconds; the files that are used need only torch, timm and einops.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORACLES = {"claymodel": "1.5.0", "terratorch": "1.2.13"}


def folder(name: str) -> Path:
    """Where the oracle is (``GEOSEG_ORACLES``, else ``.venv-oracles`` in the checkout)."""
    return Path(os.environ.get("GEOSEG_ORACLES", ROOT / ".venv-oracles")) / name


def install() -> None:
    for name, version in ORACLES.items():
        target = folder(name)
        if (target / f"{name}-{version}.dist-info").is_dir():
            continue
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", target]
        subprocess.run([*command, f"{name}=={version}"], check=True)


if __name__ == "__main__":
    install()
