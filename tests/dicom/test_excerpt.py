"""What the header of a hostile object costs: little, whatever the bytes."""

import struct
import tracemalloc
import zlib
from contextlib import suppress
from time import process_time

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.dicom.test_header import encode, radiograph
from triage.core.reasons import Code
from triage.dicom import excerpt
from triage.dicom.filemeta import preamble
from triage.dicom.header import read_file_header, read_header
from triage.dicom.pixels import read_view
from triage.dicom.radiograph import save
from triage.errors import BadInstance, ViewUnreadable

UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"
EMPTY = ITEM + bytes(4)
EMPTY_UNDEFINED = ITEM + b"\xff" * 4 + b"\xfe\xff\x0d\xe0" + bytes(4)
END = b"\xfe\xff\xdd\xe0" + bytes(4)
REGION, SOURCE, REQUEST, PROTOCOL = 0x00082218, 0x00082112, 0x00400275, 0x00181030
ROWS = 0x00280010


def element(tag, value, length=None):
    """Encode an element in implicit VR little endian."""
    length = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) + value


def item(*elements):
    value = b"".join(elements)
    return ITEM + struct.pack("<L", len(value)) + value


def with_element(tag, encoded, syntax=ImplicitVRLittleEndian):
    """Encode a radiograph, *encoded* standing where *tag* belongs."""
    before, after = parts(tag, syntax)
    return before + encoded + after


def parts(tag, syntax):
    """Encode a radiograph in two: what stands before *tag*, and the rest."""
    before = Dataset()
    for one in radiograph():
        if one.tag < tag:
            before.add(one)
    cut = len(encode(before, syntax))
    whole = encode(radiograph(), syntax)
    return whole[:cut], whole[cut:]


def read(data):
    return read_header(data, transfer_syntax_uid=ImplicitVRLittleEndian)


def cost(call):
    """Return (seconds of the processor, bytes of memory at most) of a call."""
    start = process_time()
    call()
    seconds = process_time() - start
    tracemalloc.start()
    try:
        call()
        return seconds, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def said(header):
    return [evidence.attribute for evidence in header.subject.evidence]


MILLION = 1_000_000
NEST = b"".join([ITEM + struct.pack("<LHHL", UNDEFINED, 0x40, 0x275, UNDEFINED)] * 900)
HOSTILE = {
    "items before the UIDs": (REGION, element(REGION, EMPTY * MILLION)),
    "source images": (SOURCE, element(SOURCE, EMPTY * MILLION)),
    "items without a length": (REQUEST, element(REQUEST, EMPTY * MILLION + END, UNDEFINED)),
    "items that end": (REQUEST, element(REQUEST, EMPTY_UNDEFINED * 500_000 + END, UNDEFINED)),
    "nested items": (REQUEST, element(REQUEST, item(element(0x00321064, EMPTY * 7000)))),
    "depth": (REQUEST, element(REQUEST, NEST)),
    "elements of an item": (REQUEST, element(REQUEST, item(element(0x00321060, b"") * 8000))),
    "a text": (PROTOCOL, element(PROTOCOL, b"a" * (20 << 20))),
    "values": (PROTOCOL, element(PROTOCOL, b"\\" * 4096)),
    "a text of an item": (REQUEST, element(REQUEST, item(element(0x00321060, b"\\" * 65000)))),
    "private elements": (0x50090010, element(0x50090010, b"") * MILLION),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_object_of_any_size_is_read_at_a_bounded_cost(name):
    data = with_element(*HOSTILE[name])

    seconds, memory = cost(lambda: read(data))

    header = read(data)
    assert (header.study_instance_uid, header.subject.frames) == ("1.2.3", 1)
    assert "BodyPartExamined" in said(header)
    assert seconds < 0.2
    assert memory < 8 << 20


def test_what_is_asked_for_again_and_again_is_not_read_for_ever():
    data = with_element(REGION, element(REGION, EMPTY * 8000) * 3000)
    assert len(data) > 10 * excerpt.MOST_READ

    with pytest.raises(BadInstance, match="StudyInstanceUID is missing: the header is too long"):
        read(data)
    assert cost(lambda: suppressed(data))[0] < 0.1


def suppressed(data):
    with suppress(BadInstance):
        read(data)


BEFORE_THE_PIXELS = {
    "elements": element(0x50090010, b"") * MILLION,
    "items": element(0x50090010, EMPTY * MILLION + END, UNDEFINED),
}


@pytest.mark.parametrize("name", BEFORE_THE_PIXELS)
def test_a_header_that_does_not_end_is_not_decoded_and_says_why(tmp_path, name):
    path = tmp_path / "long.dcm"
    head = preamble(ComputedRadiographyImageStorage, "1.2.3", ImplicitVRLittleEndian)
    path.write_bytes(head + with_element(0x50090010, BEFORE_THE_PIXELS[name]))

    with pytest.raises(ViewUnreadable, match="More than 50000 elements stand before") as caught:
        read_view(path)

    assert caught.value.code == Code.TOO_LARGE
    assert cost(lambda: refused(path))[0] < 0.5


def refused(path):
    with suppress(ViewUnreadable):
        read_view(path)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_a_header_with_large_elements_is_decoded(tmp_path, syntax):
    icon = Dataset()
    icon.PixelData = bytes(1 << 20)
    icon["PixelData"].VR = "OW"
    large = radiograph(IconImageSequence=[icon] * 8, ICCProfile=bytes(8 << 20))
    large.add_new(0x60003000, "OW", bytes(8 << 20))  # an overlay
    large.add_new(0x00990010, "LO", "TESTS")
    large.add_new(0x00991010, "OB", bytes(8 << 20))
    paths = [tmp_path / "small.dcm", tmp_path / "large.dcm"]
    for path, dataset in zip(paths, (radiograph(), large), strict=True):
        dataset.file_meta.TransferSyntaxUID = syntax
        save(dataset, path)

    small, shown = map(read_view, paths)

    assert paths[1].stat().st_size > paths[0].stat().st_size
    assert (small == shown).all()


def test_many_values_of_every_text_cost_little():
    many = dict.fromkeys(
        ("ImageType", "PatientName", "ProtocolName", "SeriesDescription"), ["1"] * 256
    )
    shutter = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": list(range(256))}
    data = encode(radiograph(**many, **shutter), ImplicitVRLittleEndian)

    assert cost(lambda: read(data))[0] < 0.2


def test_what_is_too_long_is_left_out_alone():
    codes = item(element(0x00080100, b"1 "), element(0x00080104, b"Hand"))
    long = codes + element(0x00080104, b"x" * 70_000)
    data = with_element(REGION, element(REGION, codes) + element(0x00082228, long))

    header = read(data)

    assert "AnatomicRegionSequence" in said(header)
    assert "PrimaryAnatomicStructureSequence" not in said(header)


@pytest.mark.parametrize("length", [None, UNDEFINED])
def test_large_elements_that_nobody_asks_for_are_stepped_over(length):
    overlay = element(0x60003000, bytes(4 << 20))
    private = item(element(0x00091011, bytes(4 << 20))) + (END if length else b"")
    data = with_element(0x00090010, element(0x00091010, private, length))
    data = data.replace(element(0x7FE00010, b"", 48), overlay + element(0x7FE00010, b"", 48))

    assert overlay in data
    assert read(data) == read(encode(radiograph(), ImplicitVRLittleEndian))


def test_a_sequence_is_the_same_with_and_without_lengths():
    codes = element(0x00080100, b"1 ") + element(0x00080104, b"Hand")
    open_item = ITEM + struct.pack("<L", UNDEFINED) + codes + b"\xfe\xff\x0d\xe0" + bytes(4)
    known, unknown = (
        with_element(REGION, element(REGION, value, length))
        for value, length in ((item(codes), None), (open_item + END, UNDEFINED))
    )

    assert read(known) == read(unknown)
    assert "AnatomicRegionSequence" in said(read(known))


def test_implicit_items_in_an_explicit_data_set_are_read():
    codes = item(element(0x00080100, b"1 "), element(0x00080104, b"Hand"))
    unknown = struct.pack("<HH2sHL", 0x0008, 0x2218, b"UN", 0, UNDEFINED) + codes + END

    header = read_header(
        with_element(REGION, unknown, ExplicitVRLittleEndian),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )

    [region] = [e for e in header.subject.evidence if e.attribute == "AnatomicRegionSequence"]
    assert [code.meaning for code in region.codes] == ["Hand"]
    assert header.pixel_digest


def test_an_object_in_the_other_encoding_than_agreed_is_read():
    data = encode(radiograph(), ExplicitVRLittleEndian)

    assert (
        read(data).pixel_digest
        == read_header(data, transfer_syntax_uid=ExplicitVRLittleEndian).pixel_digest
    )


def test_identifiers_behind_too_many_elements_are_not_found():
    data = with_element(REGION, element(REGION, EMPTY * MILLION + END, UNDEFINED))

    with pytest.raises(BadInstance, match="StudyInstanceUID is missing: the header is too long"):
        read(data)


def test_an_image_whose_pixels_are_not_reached_is_for_the_decoder_to_judge():
    header = read(with_element(0x00090010, b""))
    hidden = read(with_element(0x00230000, element(0x00230010, b"") * 60_000))

    assert (header.subject.frames, hidden.subject.frames) == (1, 1)
    assert (len(header.pixel_digest), hidden.pixel_digest) == (64, "")


def deflated(mebibytes, tag=None):
    """Deflate a radiograph that has so much of Pixel Data, or of a private element at *tag*."""
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    before, after = parts(tag or 0x7FE00010, ExplicitVRLittleEndian)
    group, number, vr = (tag >> 16, tag & 0xFFFF, b"OB") if tag else (0x7FE0, 0x10, b"OB")
    start = before + struct.pack("<HH2sHL", group, number, vr, 0, mebibytes << 20)
    squeezed = [squeezer.compress(start)]
    squeezed += [squeezer.compress(bytes(1 << 20)) for _ in range(mebibytes)]
    squeezed += [squeezer.compress(after if tag else b""), squeezer.flush()]
    return b"".join(squeezed)


def read_deflated(data):
    return read_header(data, transfer_syntax_uid=DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("tag", [None, 0x00331010])
def test_a_deflated_object_is_inflated_in_little_memory(tag):
    data = deflated(40, tag)

    _, memory = cost(lambda: read_deflated(data))

    assert len(read_deflated(data).pixel_digest) == 64
    assert memory < 4 << 20


@pytest.mark.parametrize("tag", [None, 0x00331010])
def test_a_deflated_object_beyond_the_limit_is_kept_without_a_digest(tag):
    data = deflated((excerpt.MOST_INFLATED >> 20) + 1, tag)

    header = read_deflated(data)

    assert (header.subject.frames, header.pixel_digest) == (1, "")


def test_a_damaged_deflated_object_is_refused():
    with pytest.raises(BadInstance, match="cannot be read"):
        read_deflated(b"\xff" * 100)


def test_a_deflated_file_has_the_header_of_what_was_sent(tmp_path):
    dataset = radiograph()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(dataset, tmp_path / "a.dcm")

    sent = read_deflated(encode(radiograph(), DeflatedExplicitVRLittleEndian))

    assert sent.pixel_digest
    assert read_file_header(tmp_path / "a.dcm") == sent
