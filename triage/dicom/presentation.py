"""How the header of an image wants its pixels shown, and the grey image that comes of it."""

from functools import partial

import numpy as np
from pydicom import Dataset

from triage.dicom import field, grey, luts
from triage.dicom.field import Field, exposed_field
from triage.dicom.imagepixel import GREY, ImagePixel, number, value, whole
from triage.dicom.lookup import Grey, Integers, look_up

KEYWORDS = (
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "PresentationLUTShape",
    *luts.PALETTE,
    *field.KEYWORDS,
)


def show(samples: Integers, header: Dataset, image: ImagePixel) -> Grey:
    """Return the grey image, (h, w) uint8, of decoded samples, (H, W) or (H, W, 3).

    It is cropped to the exposed field. Raises ViewUnreadable when a look-up
    table is damaged.
    """
    if image.photometric not in GREY:
        return _grey_of_colours(samples, header, image)
    how = _rendering(header, image)
    return grey.render(samples, image.bits_stored, image.high_bit, image.signed, how)


def _rendering(header: Dataset, image: ImagePixel) -> grey.Rendering:
    """Return how the header wants the stored values shown (PS3.3 C.11.1, C.11.2, C.11.6).

    Where there are several VOI transformations the first VOI LUT counts, else
    the first window: a device that gives both means the LUT and adds the window
    for viewers that have none.
    """
    table = partial(luts.table, header, little_endian=image.little_endian)
    modality = table("ModalityLUTSequence", signed=image.signed) or grey.Rescale(
        number(header, "RescaleSlope") or 1, number(header, "RescaleIntercept") or 0
    )
    shape = str(value(header, "PresentationLUTShape") or "").strip().upper()
    return grey.Rendering(
        modality=modality,
        voi=table("VOILUTSequence", signed=_below_zero(image, modality)) or _window(header),
        # Either says that the lowest value is white; together they say it once.
        inverted=image.photometric == "MONOCHROME1" or shape == "INVERSE",
        padding=_padding(header, image),
        field=_exposed(header, image),
    )


def _below_zero(image: ImagePixel, modality: grey.Table | grey.Rescale) -> bool:
    """Say whether modality values may be negative, which a VOI LUT then maps (PS3.3 C.11.2.1.1)."""
    if isinstance(modality, grey.Table):
        return False
    span = 1 << image.bits_stored
    lowest = -span // 2 if image.signed else 0
    ends = np.array([lowest, lowest + span - 1], np.float64)
    return bool(grey.to_modality(ends, modality).min() < 0)


def _window(header: Dataset) -> grey.Window | None:
    """Return the first of the windows (PS3.3 C.11.2.1.2)."""
    centre, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    if centre is None or width is None:
        return None
    name = str(value(header, "VOILUTFunction") or "").strip().upper()
    known = name in grey.Function.__members__
    return grey.Window(centre, width, grey.Function(name) if known else grey.Function.LINEAR)


def _padding(header: Dataset, image: ImagePixel) -> tuple[int, int] | None:
    """Return the stored values that are padding, inclusive (PS3.3 C.7.5.1.1.2)."""
    if number(header, "PixelPaddingValue") is None:
        return None
    one = whole(header, "PixelPaddingValue", 0)
    other = whole(header, "PixelPaddingRangeLimit", one)
    first, last = sorted(luts.signed_word(end) if image.signed else end for end in (one, other))
    return first, last


def _grey_of_colours(samples: Integers, header: Dataset, image: ImagePixel) -> Grey:
    """Return the grey image of colours, (H, W, 3), or of places in a palette, (H, W)."""
    bits, high_bit = image.bits_stored, image.high_bit
    if bits > 16:  # the upper 16 are more than enough
        samples, bits, high_bit = samples >> (high_bit - 15), 16, 15
    domain, index = grey.stored_values(samples, bits, high_bit, image.signed)
    exposed, blank = _exposed(header, image), None
    if exposed:
        index, blank = grey.crop(index, None, exposed)
    if image.photometric == "PALETTE COLOR":
        colours, depth = luts.colours(header, domain, little_endian=image.little_endian)
        shown = look_up(grey.luma(colours, depth), index)
    elif image.photometric.startswith("YBR"):
        # The Y of YBR_FULL is the luma that grey would be computed from (PS3.3 C.7.6.3.1.2).
        shown = grey.luma(np.repeat(index[..., :1], 3, axis=-1), bits)
    else:
        shown = grey.luma(index, bits)
    return grey.blackened(shown, blank)


def _exposed(header: Dataset, image: ImagePixel) -> Field | None:
    return exposed_field(header, image.rows, image.columns)
