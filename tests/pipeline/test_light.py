"""What a map by a threshold does without: torch takes longer to import than a small scene takes to map."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
import geoseg.pipeline
from geoseg.models.inference import Predictor

for name in ("mndwi", "ndwi", "awei", "otsu", "sar-change"):
    predictor = Predictor.of(name)
    bands = len(predictor.card.bands)
    chips = np.full((1, bands, 64, 64), -20 if predictor.card.unit == "dB" else 0.1, np.float32)
    assert np.isfinite(predictor.probability(chips)).all(), name
print(sorted({"torch", "lightning", "matplotlib"} & set(sys.modules)))
"""


def test_baselines_map_without_torch():
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
