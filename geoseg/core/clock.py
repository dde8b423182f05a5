"""Seconds of each step."""

from __future__ import annotations

import time


class Clock:
    """Laps since it was made; a step that comes twice is summed."""

    def __init__(self) -> None:
        self.started = time.time()
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """Credit the time since the last lap to ``step``."""
        now = time.perf_counter()
        self.seconds[step] = round(self.seconds.get(step, 0.0) + now - self._last, 3)
        self._last = now
