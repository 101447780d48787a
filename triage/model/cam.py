"""Class activation maps: where in a view the network saw what it says of it.

M(x, y) = sum over k of w_k f_k(x, y), of the last feature maps and the weights of the output
(Rajpurkar et al. 2017, section 5; Zhou et al. 2016, section 2). The network computes it
beside the probability; here it is stored, brought back to the view and drawn over it. Its
unit is that of the logit: the mean over the map, and a constant, is the logit after the
temperature. A cell of the value v thus raises it by v divided by the number of cells.

Nothing here needs torch.
"""

from collections.abc import Iterable
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from triage.core.activation import CoarseMap
from triage.model.preprocess import Grey, place

Map = NDArray[np.float32]  # (H, W)
Colours = NDArray[np.uint8]  # (H, W, 3), or with opacity (H, W, 4)

CELL = 32  # pixels of the input, height and width: what DenseNet's poolings come to
STORED = np.dtype("<f2")  # three digits: more than a colour shows
MOST = float(np.finfo(STORED).max)  # 65504; what is beyond is cut off there

# Of plasma (Smith and van der Walt 2015, CC0): dark blue, violet, red, orange, yellow. Its
# lightness only rises, so that it is read without telling red from green, and no colour of it
# is a shade of grey.
_STOPS = ((13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33))
_SHADES = np.arange(256) / 255
_RAMPS = [
    np.interp(_SHADES, np.linspace(0, 1, len(stops)), stops) for stops in zip(*_STOPS, strict=True)
]
OPACITY = 0.4  # at full strength; more than half of the radiograph's contrast is left
LEAST_FULL = 3.0  # the logit of a probability of 0.95


def pack(cells: Map, side: int, resize: str) -> CoarseMap:
    """Return a map, (h, w), as it is stored, of an input of *side* pixels and *resize*."""
    kept = np.clip(cells, -MOST, MOST).astype(STORED)
    return CoarseMap(
        height=cells.shape[0],
        width=cells.shape[1],
        cells=kept.tobytes(),
        side=side,
        resize=resize,
    )


def unpack(stored: CoarseMap) -> Map:
    """Return the cells of a stored map, (h, w)."""
    cells = np.frombuffer(stored.cells, STORED).reshape(stored.height, stored.width)
    return cells.astype(np.float32)


def upscale(stored: CoarseMap, shape: tuple[int, int]) -> Map:
    """Return the map over the view that it is of, (H, W) for a view of that *shape*.

    Bilinear between the middles of the cells; what the input had beside the
    view is left out. The view is what the decoder gave the network: where a
    header names an exposed field, that part of the image.
    """
    rows, columns = place(shape, stored.side, stored.resize)
    box = tuple(edge / CELL for edge in (columns.start, rows.start, columns.stop, rows.stop))
    # Of an input that is no multiple of a cell, the poolings leave the rest out: the last
    # cells go on over it.
    rest = [
        (0, max(0, ceil(stored.side / CELL) - count)) for count in (stored.height, stored.width)
    ]
    cells = Image.fromarray(np.pad(unpack(stored), rest, mode="edge"))
    return np.asarray(cells.resize(shape[::-1], Image.Resampling.BILINEAR, box=box))


def full_strength(maps: Iterable[CoarseMap]) -> float:
    """Return the value that is drawn at full strength over each view of a study.

    It is the highest of all its maps, so that colours may be compared between
    its views; but no less than LEAST_FULL, or the little that is left in a normal
    study would glow.
    """
    return max([LEAST_FULL, *(float(unpack(stored).max()) for stored in maps)])


def blend(grey: Grey, activation: Map, full: float) -> Colours:
    """Draw a map, (H, W), over its view, (H, W) uint8; return (H, W, 3) uint8.

    Nothing is drawn where the map is zero or less. From there to *full*, colour
    and opacity rise in proportion.
    """
    strength = _strength(activation, full)
    opacity = OPACITY * _SHADES
    drawn = np.empty((*grey.shape, 3), np.uint8)
    kept = np.rint(256 * (1 - opacity)).astype(np.uint16)[strength]
    for channel, ramp in enumerate(_RAMPS):
        added = np.rint(256 * opacity * ramp).astype(np.uint16)[strength]
        drawn[..., channel] = (grey * kept + added + 128) >> 8
    return drawn


def layer(activation: Map, full: float) -> Colours:
    """Draw a map, (H, W), to be laid over its view, as `blend` does; return (H, W, 4) uint8."""
    channels = [*_RAMPS, 255 * OPACITY * _SHADES]
    table = np.rint(np.stack(channels, axis=1)).astype(np.uint8)  # (256, 4)
    drawn: Colours = table[_strength(activation, full)]
    return drawn


def _strength(activation: Map, full: float) -> NDArray[np.uint8]:
    """Return how strongly each place is drawn, (H, W), 255 at *full* and beyond."""
    strength: NDArray[np.uint8] = np.rint(
        np.clip(activation / np.float32(full), 0, 1) * 255
    ).astype(np.uint8)
    return strength
