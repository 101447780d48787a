"""Images that every installation has: the same everywhere, made by arithmetic."""

import numpy as np

from triage.model.preprocess import Grey

SIDES = (400, 320)  # pixels, the height and width of a specimen


def specimens() -> dict[str, Grey]:
    """Return the built-in images, (400, 320) uint8 each, by name."""
    height, width = SIDES
    y, x = np.mgrid[0:height, 0:width]
    across = np.abs(x - width / 2) / width
    shaft = np.where(across < 0.12, 210 - 600 * across, 70 * (across < 0.3))
    broken = np.where(np.abs(y - 200 - (x - width / 2) / 3) < 4, 60, shaft)
    return {
        name: np.clip(picture, 0, 255).astype(np.uint8)
        for name, picture in {
            "black": np.zeros(SIDES),
            "ramp": x * 255 / (width - 1),
            "shaft": shaft,
            "broken shaft": broken,
            "weave": (x * y) % 256,
        }.items()
    }
