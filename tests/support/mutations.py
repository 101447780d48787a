"""What a bad disk, sender or enemy does to the bytes of an object; each changes them in place."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from triage.dicom import codecs


@dataclass(frozen=True)
class Seed:
    """A sound object, as a file (PS3.10)."""

    name: str
    data: bytes
    syntax: str
    start: int  # where the data set starts, after the file meta information


Mutation = Callable[[bytearray, Seed, random.Random], None]
_NUMBERS = (0, 1, 2, 3, 7, 8, 9, 12, 16, 17, 32, 33, 64, 255, 256, 4095, 32767, 32768, 65535)
_LENGTHS = (0, 1, 2, 3, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def _somewhere(data: bytearray, seed: Seed, chance: random.Random) -> int:
    """Choose a place: as often in the header as in the pixels, seldom in the preamble."""
    pixels = data.rfind(b"\xe0\x7f\x10\0")
    low, high = chance.choice(((132, seed.start), (seed.start, pixels), (pixels, len(data))))
    low, high = max(0, min(low, len(data) - 1)), min(high, len(data))
    return chance.randrange(low, high) if low < high else chance.randrange(max(1, len(data)))


def _random_bytes(data: bytearray, seed: Seed, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 4, 16, 64))):
        at = _somewhere(data, seed, chance)
        data[at : at + 1] = bytes([chance.randrange(256)])


def _flipped_bits(data: bytearray, seed: Seed, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = _somewhere(data, seed, chance)
        data[at : at + 1] = bytes(byte ^ (1 << chance.randrange(8)) for byte in data[at : at + 1])


def _truncation(data: bytearray, seed: Seed, chance: random.Random) -> None:
    del data[_somewhere(data, seed, chance) :]


def _removed_block(data: bytearray, seed: Seed, chance: random.Random) -> None:
    at = _somewhere(data, seed, chance)
    del data[at : at + chance.choice((1, 2, 4, 8, 12, 100))]


def _inserted_block(data: bytearray, seed: Seed, chance: random.Random) -> None:
    at = _somewhere(data, seed, chance)
    size = chance.choice((1, 2, 4, 8, 12, 100, 5000))
    source = _somewhere(data, seed, chance)
    copied = chance.random() < 0.5
    data[at:at] = data[source : source + size] if copied else chance.randbytes(size)


def _length_field(data: bytearray, seed: Seed, chance: random.Random) -> None:
    at = _element(data, seed, chance)
    if at is not None:
        length = struct.pack("<L", chance.choice(_LENGTHS))
        here = at + chance.choice((4, 6, 8))
        data[here : here + chance.choice((2, 4))] = length[: chance.choice((2, 4))]


def _swapped_tags(data: bytearray, seed: Seed, chance: random.Random) -> None:
    one, other = _element(data, seed, chance), _element(data, seed, chance)
    if one is not None and other is not None:
        data[one : one + 4], data[other : other + 4] = (
            data[other : other + 4],
            data[one : one + 4],
        )


def _other_vr(data: bytearray, seed: Seed, chance: random.Random) -> None:
    at = _element(data, seed, chance)
    if at is not None:
        vrs = (b"SQ", b"UN", b"OB", b"OW", b"US", b"SS", b"DS", b"IS", b"UI", b"PN", b"AT", b"zz")
        data[at + 4 : at + 6] = chance.choice(vrs)


def _other_tag(data: bytearray, seed: Seed, chance: random.Random) -> None:
    at = _element(data, seed, chance)
    if at is not None:
        group, element = chance.choice(
            [
                *((0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD), (0x7FE0, 0x0008)),
                *((0x7FE0, 0x0010), (0x0008, 0x0005), (0x0018, 0x1600), (0x0028, 0x3010)),
            ]
        )
        data[at : at + 4] = struct.pack("<HH", group, element)


def _extreme_number(data: bytearray, seed: Seed, chance: random.Random) -> None:
    """Set a number of the Image Pixel Module, or of what else stands in its group."""
    places = list(_places(data, seed, b"\x28\0"))
    if places:
        at = chance.choice(places) + 8
        data[at : at + 2] = struct.pack("<H", chance.choice(_NUMBERS))


def _extreme_text(data: bytearray, seed: Seed, chance: random.Random) -> None:
    """Set a number that is written as text: a window, a slope, an edge, the frames."""
    places = [at for at in _places(data, seed, b"") if data[at + 4 : at + 6] in (b"DS", b"IS")]
    if places:
        at = chance.choice(places)
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        text = chance.choice(
            [
                *(b"nan", b"inf", b"-1", b"0", b"1e308", b"-1e999", b"9" * 12, b"x", b"\\"),
                *(b"1\\2", b"", b"2147483648", b"1e-320", b"0.0001", b"65536"),
            ]
        )
        data[at + 8 : at + 8 + length] = text.ljust(length)[:length]


def _marker(data: bytearray, seed: Seed, chance: random.Random) -> None:
    """Put a marker of JPEG or JPEG 2000 into the compressed pixels."""
    pixels = data.rfind(b"\xe0\x7f\x10\0")
    if 0 <= pixels < len(data) - 20:
        at = chance.randrange(pixels + 12, len(data) - 1)
        data[at : at + 2] = bytes(
            [0xFF, chance.choice((0x51, 0x52, 0x5C, 0xC3, 0xC4, 0xD9, 0xDA, 0xF7, 0xF8))]
        )


def _codestream_number(data: bytearray, seed: Seed, chance: random.Random) -> None:
    """Set a number in the headers of the compressed image to an extreme."""
    markers = [b"\xff\x51", b"\xff\x52", b"\xff\x5c", b"\xff\xc0", b"\xff\xc1", b"\xff\xc3"]
    markers += [b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"\xff\xf7", b"\xff\xf8"]
    pixels = max(0, data.rfind(b"\xe0\x7f\x10\0"))
    found = [at for at in (data.find(marker, pixels) for marker in markers) if at >= 0]
    if found:
        at = chance.choice(found) + chance.randrange(2, 44)
        number = chance.choice((*_NUMBERS, *_LENGTHS))
        size = chance.choice((1, 2, 4))
        data[at : at + size] = (number & ((1 << 8 * size) - 1)).to_bytes(size, "big")


def _syntax(data: bytearray, seed: Seed, chance: random.Random) -> None:
    """Claim another transfer syntax of the same length."""
    uid = seed.syntax.encode()
    same = [s.encode() for s in codecs.negotiable() if len(s) == len(uid)]
    at = data.find(uid, 132, seed.start)
    if at >= 0:
        data[at : at + len(uid)] = chance.choice(same)


def _photometric(data: bytearray, seed: Seed, chance: random.Random) -> None:
    at = data.find(b"\x28\0\x04\0CS", seed.start)
    if at >= 0:
        length = int.from_bytes(data[at + 6 : at + 8], "little")
        name = chance.choice((b"RGB", b"MONOCHROME1", b"PALETTE COLOR", b"YBR_FULL", b"YBR_RCT"))
        data[at + 6 : at + 8 + length] = struct.pack("<H", 14) + name.ljust(14)


def _element(data: bytearray, seed: Seed, chance: random.Random) -> int | None:
    places = list(_places(data, seed, b""))
    return chance.choice(places) if places else None


def _places(data: bytearray, seed: Seed, group: bytes) -> Iterator[int]:
    """Yield where elements seem to start: in explicit VR, two capital letters after the tag."""
    for at in range(seed.start, min(len(data) - 8, seed.start + 4000)):
        vr = data[at + 4 : at + 6]
        if data.startswith(group, at) and vr.isalpha() and vr.isupper() and data[at + 1] < 0x80:
            yield at


MUTATIONS: tuple[Mutation, ...] = (
    _random_bytes,
    _flipped_bits,
    _truncation,
    _removed_block,
    _inserted_block,
    _length_field,
    _swapped_tags,
    _other_vr,
    _other_tag,
    _extreme_number,
    _extreme_number,
    _extreme_text,
    _marker,
    _codestream_number,
    _codestream_number,
    _syntax,
    _photometric,
)
