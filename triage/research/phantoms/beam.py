"""Solids put into a beam: how much each ray is weakened, and what a detector makes of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from triage.research.phantoms.solids import Break, Material, Solid, Stroke

FloatImage = NDArray[np.float32]  # (H, W)
Window = tuple[slice, slice]

BRIGHTEST = 4095  # 12 bits stored
TEXTURE = {Material.BONE: 0.26, Material.FLESH: 0.02, Material.LUNG: 0.05, Material.METAL: 0.0}
PHOTONS = 2500.0  # counted in a pixel of the open beam
SCATTER = 0.22  # of the primary beam, spread wide


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The detector's pixels in mm, gently bent, and the textures that run through them."""

    pixel: float  # mm
    x: FloatImage
    y: FloatImage
    fine: FloatImage  # trabeculae: mean 0, deviation 1
    coarse: FloatImage  # muscle and vessels

    @classmethod
    def of(cls, shape: tuple[int, int], pixel: float, rng: np.random.Generator) -> "Scene":
        """Bend the grid a little: nobody is made of straight lines."""
        y, x = _ruled(shape, pixel)
        for size, reach in ((50.0, 0.8), (16.0, 0.09), (3.0, 0.05)):
            x = x + np.float32(reach) * noise(shape, rng, size / pixel)
            y = y + np.float32(reach) * noise(shape, rng, size / pixel)
        fine = 0.8 * noise(shape, rng, 0.9 / pixel) + 0.6 * noise(shape, rng, 2.5 / pixel)
        return cls(pixel=pixel, x=x, y=y, fine=fine, coarse=noise(shape, rng, 12 / pixel))

    def straight(self) -> "Scene":
        """Return the scene with a grid that is not bent, for what a machine has made."""
        y, x = _ruled(self.x.shape, self.pixel)
        return replace(self, x=x, y=y)


def _ruled(shape: tuple[int, ...], pixel: float) -> tuple[FloatImage, FloatImage]:
    """Return y and x in mm for each pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) * np.float32(pixel)
    return y, x


def _swift(length: int) -> int:
    """Round up to a length that the Fourier transform splits into small factors."""
    return -(-length // 60) * 60


def noise(shape: tuple[int, int], rng: np.random.Generator, size: float) -> FloatImage:
    """Smooth noise of mean 0 and deviation 1 whose grains measure about *size* pixels."""
    if (step := int(size // 4)) > 1:  # coarse grains need no fine grid
        small = noise((-(-shape[0] // step), -(-shape[1] // step)), rng, size / step)
        return _resized(small, shape)
    whole = (_swift(shape[0]), _swift(shape[1]))
    f = _frequency(whole) * np.float32(size)
    band = np.exp(-(f**2) / 2) * (1 - np.exp(-((3 * f) ** 2) / 2))
    white = np.fft.rfft2(rng.standard_normal(whole, dtype=np.float32))
    field = np.fft.irfft2(white * band, s=whole)[: shape[0], : shape[1]].astype(np.float32)
    normal: FloatImage = field / field.std()
    return normal


def blur(image: FloatImage, sigma: float) -> FloatImage:
    """Gaussian blur of *sigma* pixels, mirrored at the border."""
    if (step := int(sigma // 3)) > 1:
        small = _resized(image, (-(-image.shape[0] // step), -(-image.shape[1] // step)))
        return _resized(blur(small, sigma / step), image.shape)
    pad = int(min(3 * sigma + 1, *image.shape))
    beyond = [(pad, _swift(length + 2 * pad) - length - pad) for length in image.shape]
    padded = np.pad(image, beyond, mode="symmetric")
    transfer = np.exp(-2 * (np.pi * sigma * _frequency(padded.shape)) ** 2)
    soft = np.fft.irfft2(np.fft.rfft2(padded) * transfer, s=padded.shape)
    return soft[pad : pad + image.shape[0], pad : pad + image.shape[1]].astype(np.float32)


def _resized(image: FloatImage, shape: tuple[int, ...]) -> FloatImage:
    """Resample to *shape*, antialiased."""
    picture = Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32)


def _frequency(shape: tuple[int, ...]) -> FloatImage:
    """Cycles for each pixel, for the layout of rfft2."""
    rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    cycles: FloatImage = np.hypot(rows[:, None], columns[None, :]).astype(np.float32)
    return cycles


def attenuation(solids: tuple[Solid, ...], scene: Scene) -> FloatImage:
    """Sum thickness times attenuation along each ray: the exponent of Beer-Lambert."""
    total = np.zeros_like(scene.x)
    for solid in solids:
        made = solid.material is Material.METAL
        _add(total, solid, scene.straight() if made else scene)
    return total


def _add(total: FloatImage, solid: Solid, scene: Scene) -> None:
    spheres = np.array([sphere for stroke in solid.strokes for sphere in stroke])
    reach = spheres[:, 2] + (10.0 if solid.fracture else 0.0)  # a fragment may have moved
    bounds = (
        float((spheres[:, 0] - reach).min()),
        float((spheres[:, 0] + reach).max()),
        float((spheres[:, 1] - reach).min()),
        float((spheres[:, 1] + reach).max()),
    )
    here = _Extent.of(scene.x, scene.y).window(bounds)
    x, y = scene.x[here], scene.y[here]
    if not x.size:
        return
    grain = scene.coarse if solid.material in (Material.FLESH, Material.LUNG) else scene.fine
    texture = 1 + TEXTURE[solid.material] * grain[here]
    wall, inside = (mu * solid.depth * solid.density for mu in solid.material.value)
    for outer, inner in _pieces(solid, x, y):
        if solid.material is Material.BONE:
            # Under a thick cortex lies fat, under a thin one the mesh of the bone's ends.
            mesh = np.clip((inner / (outer + 1e-3) - 0.70) / 0.2, 0.08, 1)
            total[here] += wall * (outer - inner) + inside * inner * texture * mesh
        else:
            total[here] += (wall * (outer - inner) + inside * inner) * texture


def _pieces(solid: Solid, x: FloatImage, y: FloatImage) -> Iterator[tuple[FloatImage, FloatImage]]:
    """Yield the chords through a whole solid, or through either side of its fracture."""
    if solid.fracture is None:
        yield _chords(solid.strokes, x, y)
        return
    at = solid.fracture.at
    for beyond in (False, True):
        dx, dy = x - at[0], y - at[1]
        if beyond:
            dx, dy = _before_the_break(solid.fracture, dx, dy)
        kept = _kept(solid.fracture, dx, dy, beyond=beyond)
        outer, inner = _chords(solid.strokes, dx + at[0], dy + at[1])
        yield outer * kept, inner * kept


def _before_the_break(
    broken: Break, dx: FloatImage, dy: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """Say where the fragment that now lies at (dx, dy) came from."""
    u, v = np.array(broken.along) / np.hypot(*broken.along)
    dx = dx - np.float32(broken.shift[0] * u + broken.shift[1] * v)
    dy = dy - np.float32(broken.shift[0] * v - broken.shift[1] * u)
    cosine, sine = np.cos(np.deg2rad(broken.turn)), np.sin(np.deg2rad(broken.turn))
    return (dx * cosine + dy * sine).astype(np.float32), (dy * cosine - dx * sine).astype(
        np.float32
    )


def _kept(broken: Break, dx: FloatImage, dy: FloatImage, *, beyond: bool) -> FloatImage:
    """Return 1 on the fragment's side of the fracture line, 0 on the other, soft between."""
    u, v = np.array(broken.along, np.float32) / np.float32(np.hypot(*broken.along))
    ahead, across = dx * u + dy * v, dx * v - dy * u
    # Bone breaks in steps; both sides carry the same ones.
    line = broken.slope * across + 0.7 * np.sin(across * 0.55) + 0.25 * np.sin(across * 1.9 + 1)
    edge = (ahead - line if beyond else line - ahead) - broken.gap / 2
    kept: FloatImage = np.clip(edge / 0.5 + 0.5, 0, 1)
    return kept


@dataclass(frozen=True)
class _Extent:
    """The least and greatest coordinate of each column and row: it bounds the bend."""

    left: FloatImage  # (W,)
    right: FloatImage
    top: FloatImage  # (H,)
    bottom: FloatImage

    @classmethod
    def of(cls, x: FloatImage, y: FloatImage) -> "_Extent":
        return cls(x.min(0), x.max(0), y.min(1), y.max(1))

    def window(self, bounds: tuple[float, float, float, float]) -> Window:
        """Return the columns and rows that can hold (x0, x1, y0, y1)."""
        columns = np.flatnonzero((self.right >= bounds[0]) & (self.left <= bounds[1]))
        rows = np.flatnonzero((self.bottom >= bounds[2]) & (self.top <= bounds[3]))
        if not columns.size or not rows.size:
            return slice(0), slice(0)
        return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _chords(
    strokes: tuple[Stroke, ...], x: FloatImage, y: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """Return the way through the solid and the way through its inside, in mm."""
    outer, inner = np.zeros_like(x), np.zeros_like(x)  # squares of half the way
    extent = _Extent.of(x, y)
    for stroke in strokes:
        for (ax, ay, ar, aw), (bx, by, br, bw) in pairwise(stroke):
            r = max(ar, br)
            near = extent.window(
                (min(ax, bx) - r, max(ax, bx) + r, min(ay, by) - r, max(ay, by) + r)
            )
            px, py = x[near] - np.float32(ax), y[near] - np.float32(ay)
            ux, uy = np.float32(bx - ax), np.float32(by - ay)
            square = ux * ux + uy * uy
            along = np.clip((px * ux + py * uy) / (square or np.float32(1)), 0, 1)
            far = (px - along * ux) ** 2 + (py - along * uy) ** 2
            radius = np.float32(ar) + along * np.float32(br - ar)
            hollow = radius - np.float32(aw) - along * np.float32(bw - aw)
            np.maximum(outer[near], radius * radius - far, out=outer[near])
            np.maximum(inner[near], hollow * np.abs(hollow) - far, out=inner[near])
    return 2 * np.sqrt(outer), 2 * np.sqrt(inner)


def detect(exponent: FloatImage, pixel: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Expose a detector behind *exponent* and develop the picture, (H, W) of 12 bits.

    Collimator, scatter, focal spot and quantum noise; then the logarithm, a
    little edge enhancement, and the shutter over what the collimator covered.
    """
    field, shutter = _collimator(exponent.shape, pixel, rng)
    primary = np.exp(-exponent) * field
    beam = primary + SCATTER * blur(primary, 14 / pixel)
    beam = blur(beam, 0.16 / pixel)
    counts = beam * PHOTONS
    counts = counts + np.sqrt(counts) * rng.standard_normal(counts.shape, dtype=np.float32)
    counts = blur(np.clip(counts, 4, None), 0.5)
    picture = np.log(PHOTONS * (1 + SCATTER)) - np.log(counts)
    picture = picture + 0.55 * (picture - blur(picture, 2.6 / pixel))
    lit = picture[shutter]
    low, high = np.percentile(lit, 0.5), np.percentile(lit, 99.7)
    picture = (picture - low) / (high - low) * 0.80 + 0.06
    return np.where(shutter, np.clip(picture, 0, 1) * BRIGHTEST, 0).astype(np.uint16)


def _collimator(
    shape: tuple[int, ...], pixel: float, rng: np.random.Generator
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Return the beam's profile (1 inside, soft edges) and the shutter over the covered border."""
    rows, columns = np.arange(shape[0], dtype=np.float32), np.arange(shape[1], dtype=np.float32)
    top, bottom, left, right = rng.uniform(1.0, 4.5, 4) / pixel
    inside = np.minimum(
        np.minimum(rows - top, shape[0] - bottom - rows)[:, None],
        np.minimum(columns - left, shape[1] - right - columns)[None, :],
    ).astype(np.float32)
    field = np.clip(inside * pixel / 0.8 + 0.6, 0.35, 1).astype(np.float32)
    return field, inside > 0
