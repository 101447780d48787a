"""The look-up tables of a header: Modality and VOI LUT (PS3.3 C.11), palette (C.7.6.3.1.6, C.7.9)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from triage.core.reasons import Code
from triage.dicom.grey import Table
from triage.dicom.imagepixel import value
from triage.errors import ViewUnreadable

Words = npt.NDArray[np.uint16]

DISCRETE, LINEAR, INDIRECT = 0, 1, 2  # PS3.3 C.7.9.2
COLOURS = ("Red", "Green", "Blue")
PALETTE = tuple(
    f"{segmented}{colour}PaletteColorLookupTable{part}"
    for colour in COLOURS
    for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)


def table(header: Dataset, keyword: str, *, signed: bool, little_endian: bool) -> Table | None:
    """Return the first look-up table of a sequence; None where there is none that can be used.

    *signed* says whether its input may be negative. Raises ViewUnreadable when it is damaged.
    """
    item = value(header, keyword)
    descriptor, data = (
        (item.get("LUTDescriptor"), item.get("LUTData")) if item is not None else (None, None)
    )
    if not descriptor or not data:
        return None
    size, first, bits = (int(entry) for entry in descriptor)
    size, bits = size & 0xFFFF or 1 << 16, bits & 0xFFFF
    if signed:
        first = signed_word(first)
    elif keyword == "ModalityLUTSequence":  # stored values without a sign map from none below 0
        first &= 0xFFFF
    entries = words(data, size, little_endian)
    if entries.size < size:
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"A look-up table has {entries.size} entries where its descriptor says {size}",
        )
    entries = entries[:size]
    # More bits than the descriptor admits are there all the same.
    bits = max(bits, int(entries.max()).bit_length(), 1)
    return Table(first, entries.astype(np.float64), bits)


def signed_word(word: int) -> int:
    """Read 16 bits as two's complement: US or SS is easily written wrong."""
    return word - (1 << 16) if word >= 1 << 15 else word


def colours(
    header: Dataset, domain: npt.NDArray[np.int64], *, little_endian: bool
) -> tuple[Words, int]:
    """Return the colours of the stored values *domain*, (N, 3), and the bits of a channel.

    Raises ViewUnreadable when there is no palette or it is damaged.
    """
    channels, depths = zip(
        *(_channel(header, colour, domain, little_endian) for colour in COLOURS), strict=True
    )
    return np.stack(channels, axis=-1), max(depths)


def _channel(
    header: Dataset, colour: str, domain: npt.NDArray[np.int64], little_endian: bool
) -> tuple[Words, int]:
    keyword = f"{colour}PaletteColorLookupTable"
    descriptor = header.get(f"{keyword}Descriptor")
    if descriptor is None or len(descriptor) != 3:
        raise ViewUnreadable(Code.UNDECODABLE, "The image has no complete colour palette")
    size, first, bits = (int(entry) & 0xFFFF for entry in descriptor)
    size = size or 1 << 16
    if header.get(f"{keyword}Data"):
        entries = words(header.get(f"{keyword}Data"), size, little_endian)
    else:
        segmented = header.get(f"Segmented{keyword}Data") or b""
        one_byte = bits <= 8 and isinstance(segmented, bytes)
        data = _bytes(segmented, little_endian) if one_byte else words(segmented, 0, little_endian)
        entries = expand(data.tolist(), size, one_byte=one_byte)
    if entries.size < size:
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The colour palette has {entries.size} entries where its descriptor says {size}",
        )
    places = np.clip(domain - (signed_word(first) if domain[0] < 0 else first), 0, size - 1)
    # More bits than the descriptor admits are there all the same.
    return entries[places], max(bits, int(entries.max()).bit_length())


def words(data: bytes | Sequence[int] | int, size: int, little_endian: bool) -> Words:
    """Return look-up table data, US or OW, as the entries that they are.

    Entries of 8 bits may lie two to a word: half as many words then hold *size* entries.
    """
    if isinstance(data, bytes):
        if size and len(data) == size + size % 2 and size > 1:
            return _bytes(data, little_endian)[:size]
        order = "<" if little_endian else ">"
        return np.frombuffer(data[: len(data) // 2 * 2], f"{order}u2").astype(np.uint16)
    found = np.atleast_1d(np.asarray(data, np.int64)).astype(np.uint16)
    if size > 1 and found.size == (size + 1) // 2:
        return found.astype("<u2").view(np.uint8).astype(np.uint16)[:size]
    return found


def _bytes(data: bytes, little_endian: bool) -> Words:
    """Return the entries that lie two to a word, the first in its lower byte (PS3.5 8.1.1)."""
    pairs = np.frombuffer(data[: len(data) // 2 * 2], np.uint8).reshape(-1, 2)
    return (pairs if little_endian else pairs[:, ::-1]).ravel().astype(np.uint16)


def expand(data: Sequence[int], size: int, *, one_byte: bool = False) -> Words:
    """Return the entries of a segmented look-up table (PS3.3 C.7.9.2), *size* of them at most.

    Raises ViewUnreadable when a segment makes no sense.
    """
    entries: list[int] = []
    at = 0
    while at + 2 < len(data) and len(entries) < size:
        at += _segment(data, at, entries, size, one_byte)
    return np.array(entries[:size], np.uint16)


def _segment(
    data: Sequence[int],
    at: int,
    entries: list[int],
    size: int,
    one_byte: bool,
    nested: bool = False,
) -> int:
    """Append the segment at *at* to the *entries*; return its length in *data*."""
    kind, length = data[at], data[at + 1]
    if kind == DISCRETE and length:
        entries += data[at + 2 : at + 2 + length]
        return 2 + length
    if kind == LINEAR and length and entries:
        line = np.linspace(entries[-1], data[at + 2], length + 1)
        entries += np.rint(line[1:]).astype(int).tolist()
        return 3
    if kind == INDIRECT and not nested:
        # A byte offset in the table, its least significant part first.
        parts = data[at + 2 : at + (6 if one_byte else 4)]
        start = sum(part << (8 if one_byte else 16) * i for i, part in enumerate(parts))
        start //= 1 if one_byte else 2
        for _ in range(length):
            if start + 2 >= len(data) or start >= at:
                break
            if len(entries) >= size:
                return 2 + len(parts)
            start += _segment(data, start, entries, size, one_byte, nested=True)
        else:
            return 2 + len(parts)
    raise ViewUnreadable(Code.UNDECODABLE, "The segmented colour palette is damaged")
