"""An image as the network has not seen it yet: mirrored, turned, cropped.

The paper has random lateral inversions and rotations of up to 30 degrees
(Rajpurkar et al. 2017, section 3.1). It is done to the picture as it was read;
scaling and normalising follow as in serving, so an image that nothing is done
to gives the network exactly what the daemon gives it.
"""

import numpy as np
from PIL import Image

from triage.model.preprocess import Grey
from triage.research.recipe import Recipe


def augment(grey: Grey, recipe: Recipe, random: np.random.Generator) -> Grey:
    """Return a (H, W) uint8 image varied as the recipe says; what a turn uncovers is black."""
    # Drawn in any case and in this order: one choice does not change the luck of the others.
    mirror, angle, part, top, left = random.random(5)
    if recipe.flip and mirror < 0.5:
        grey = grey[:, ::-1]
    if recipe.rotate:
        picture = Image.fromarray(np.ascontiguousarray(grey))
        turned = picture.rotate((2 * angle - 1) * recipe.rotate, Image.Resampling.BILINEAR)
        grey = np.asarray(turned)
    if recipe.crop < 1:
        kept = 1 - part * (1 - recipe.crop)
        height, width = (max(1, round(side * kept)) for side in grey.shape)
        y, x = round(top * (grey.shape[0] - height)), round(left * (grey.shape[1] - width))
        grey = grey[y : y + height, x : x + width]
    return np.ascontiguousarray(grey)
