"""The colour of human skin from its individual typology angle (ITA)."""

from __future__ import annotations

import math

import numpy as np

# Degrees (Chardon et al. 1991): very light and light, intermediate and tan, brown and dark.
ITA_RANGES = {"I-II": (41.0, 65.0), "III-IV": (10.0, 41.0), "V-VI": (-50.0, 10.0)}


def skin_colour(ita: float, redness: float, yellowness: float) -> tuple[float, float, float]:
    """sRGB (0–1) of skin with this ITA, a* and b*: L* = 50 + b* tan(ITA), CIELAB under D65."""
    lightness = 50.0 + yellowness * math.tan(math.radians(ita))
    y = (lightness + 16.0) / 116.0
    cube = [
        v**3 if v > 6 / 29 else 3 * (6 / 29) ** 2 * (v - 4 / 29)
        for v in (y + redness / 500, y, y - yellowness / 200)
    ]
    xyz = np.array(cube) * (0.95047, 1.0, 1.08883)
    linear = (
        np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
        @ xyz
    )
    linear = np.clip(linear, 0.0, 1.0)
    bent = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(bent.tolist())
