"""One small image in every transfer syntax that is offered: does this installation decode it?

A decoder may be installed and still be broken, by a library that it finds at
run time or by a build for another processor. That is found here, before the
first patient's image. What is compressed was written by DCMTK (RLE, JPEG,
JPEG-LS), OpenJPEG (JPEG 2000) and OpenJPH (HTJ2K).
"""

import base64
import tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from triage.dicom import codecs
from triage.dicom.imagepixel import ImagePixel
from triage.dicom.pixels import read_view
from triage.errors import ViewUnreadable

ROWS, COLUMNS, BITS = 24, 32, 12

# How far a sample may lie from the image's value; nothing where there is no loss.
TOLERANCE = {
    JPEGBaseline8Bit: 4,
    HTJ2K: 8,
    JPEGLSNearLossless: 2,
    JPEGExtended12Bit: 32,
    JPEG2000: 16,
}
NATIVE = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)


def image(bits: int = BITS) -> codecs.Samples:
    """Return the image, (24, 32) uint16: smooth, and nearly the whole range of *bits* bits."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    return np.asarray(2 * x * x + 4 * y * y, np.uint16) >> (BITS - bits)


def failures() -> dict[str, str]:
    """Return {UID: what is wrong and what to install} for the negotiable transfer syntaxes."""
    found = {}
    for uid in codecs.negotiable():
        if problem := check(uid):
            names = " and ".join(codecs.packages(uid))
            found[uid] = f"{UID(uid).name} {problem}: install {names} again"
    return found


def check(uid: str, frame: bytes | None = None) -> str | None:
    """Say what is wrong with the decoding of the sample, or of *frame* in its place."""
    try:
        if uid in NATIVE:
            expected, decoded = image(8), _native(uid)
        else:
            expected, decoded = image(_bits(uid)), _compressed(uid, frame or sample(uid))
    except ViewUnreadable as error:
        return f"cannot be decoded ({error})"
    except Exception as error:  # whatever a decoder raises
        return f"cannot be decoded ({type(error).__name__}: {error})"
    if decoded.shape != expected.shape:
        return "decodes to another size"
    worst = int(np.abs(decoded.astype(int) - expected).max())
    return "decodes to other values" if worst > TOLERANCE.get(UID(uid), 0) else None


def sample(uid: str) -> bytes:
    """Return the image as one frame of a compressed transfer syntax."""
    return base64.b64decode(_FRAMES[UID(uid)])


def _bits(uid: str) -> int:
    return 8 if uid == JPEGBaseline8Bit else BITS


def _compressed(uid: str, frame: bytes) -> codecs.Samples:
    described = ImagePixel(
        transfer_syntax_uid=uid,
        rows=ROWS,
        columns=COLUMNS,
        frames=1,
        samples=1,
        photometric="MONOCHROME2",
        planar=0,
        bits_allocated=8 if uid == JPEGBaseline8Bit else 16,
        bits_stored=_bits(uid),
        high_bit=_bits(uid) - 1,
        signed=False,
    )
    return codecs.decode(frame, described)[0]


def _native(uid: str) -> codecs.Samples:
    """Read the image, already windowed to 8 bits, from an object that holds it in 16."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(uid)
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    held = Dataset()
    held.file_meta = meta
    held.Rows, held.Columns = ROWS, COLUMNS
    held.SamplesPerPixel, held.PhotometricInterpretation = 1, "MONOCHROME2"
    held.BitsAllocated, held.BitsStored, held.HighBit = 16, BITS, BITS - 1
    held.PixelRepresentation = 0
    held.WindowCenter, held.WindowWidth = 128, 256
    order = "<" if meta.TransferSyntaxUID.is_little_endian else ">"
    held.PixelData = image(8).astype(f"{order}u2").tobytes()
    held["PixelData"].VR = "OW"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sample.dcm")
        held.save_as(path, enforce_file_format=True)
        return read_view(path)


_FRAMES = {
    RLELossless: """
        AgAAAEAAAADoAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPUA
        /QH9Av4D/gQDBQUGBv8H9QD9Af0C/gP+BAMFBQYG/wf2APwB/QL+A/4EAwUFBgb/B/YA/AH9Av4DAQQE/gUBBgb/
        B/cA/AH9Av4D/gT+BQEGBv8H+AD7Af0C/gP+BAEFBf4G/wf5APsB/QL+A/4E/gUEBgYHBwj7APoB/QL9A/4EAQUF
        /gYCBwcI9QH9Av0D/gT+BQMGBgcH/wj3AfwC/QP+BP4F/gYBBwf/CPkB+wL9A/4E/gX+BgQHBwgICf0B+QL8A/4E
        /gX+BgEHB/4IAAn3AvwD/QT+Bf4G/gcBCAj/CfoC+gP9BP4F/gb+BwQICAkJCvYD/AT9Bf4G/gcDCAgJCf8K+QP7
        BP0F/QYBBwf+CAQJCQoKC/UE/QX9Bv4H/ggDCQkKCv8L+QT7Bf0G/QcBCAj+CQQKCgsLDPYF/Ab9B/4I/gkDCgoL
        C/8M+gX6Bv0H/gj+Cf4KBAsLDAwN9wb8B/0I/gn+Cv4LAQwM/w39BvkH/Aj+Cf4K/gsBDAz+DQAO+Qf7CP0J/gr+
        C/4MBA0NDg4P9wj8Cf0K/gv+DP4NAQ4O/w8fAAIIEiAySGKAosjyIFKIwgBCiNIgcsgigOJIsiCSCIIfBAYMFiQ2
        TGaEpsz2JFaMxgRGjNYkdswmhOZMtiSWDIYfEBIYIjBCWHKQstgCMGKY0hBSmOIwgtgykPJYwjCiGJIfJCYsNkRW
        bIakxuwWRHas5iRmrPZEluxGpAZs1kS2LKYfQEJIUmByiKLA4ggyYJLIAkCCyBJgsghiwCKI8mDSSMIfZGZsdoSW
        rMbkBixWhLbsJmSm7DaE1iyG5EasFoT2bOYfkJKYorDC2PIQMliCsOIYUpDSGGKwAliyEHLYQrAimBIfxMbM1uT2
        DCZEZoy25BZMhsQGTJbkNozmRKYMduRWzEYfAAIIEiAySGKAosjyIFKIwgBCiNIgcsgigOJIsiCSCIIfREZMVmR2
        jKbE5gw2ZJbMBkSGzBZktgxmxCaM9mTWTMYfkJKYorDC2PIQMliCsOIYUpDSGGKwAliyEHLYQrAimBIf5Obs9gQW
        LEZkhqzWBDZspuQmbLYEVqwGZMYslgR27GYfQEJIUmByiKLA4ggyYJLIAkCCyBJgsghiwCKI8mDSSMIfpKastsTW
        7AYkRmyWxPYsZqTmLHbEFmzGJIbsVsQ2rCYfEBIYIjBCWHKQstgCMGKY0hBSmOIwgtgykPJYwjCiGJIfhIaMlqS2
        zOYEJkx2pNYMRoTGDFak9kymBGbMNqQWjAYfAAIIEiAySGKAosjyIFKIwgBCiNIgcsgigOJIsiCSCIIfhIaMlqS2
        zOYEJkx2pNYMRoTGDFak9kymBGbMNqQWjAYfEBIYIjBCWHKQstgCMGKY0hBSmOIwgtgykPJYwjCiGJIfpKastsTW
        7AYkRmyWxPYsZqTmLHbEFmzGJIbsVsQ2rCYfQEJIUmByiKLA4ggyYJLIAkCCyBJgsghiwCKI8mDSSMIf5Obs9gQW
        LEZkhqzWBDZspuQmbLYEVqwGZMYslgR27GYfkJKYorDC2PIQMliCsOIYUpDSGGKwAliyEHLYQrAimBIfREZMVmR2
        jKbE5gw2ZJbMBkSGzBZktgxmxCaM9mTWTMY=
    """,
    HTJ2KLossless: """
        /0//UQApQAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE
        BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAcIAAf+TwAAm
        v/oFB3QAwAATQAATAL79Aod0AHD5Awd0AMAAFTAABOD/fAdAAAFCtAC33voAgjQAwAAWlAABagD/f/8ffhg3/v8f
        jAz+YgixtwD/f/9//3/fqEYZZdQAAA9z5DG4AMAAF1cAAF2o/3//f/8PPGDA4P9//3//QQcMGPz/f/9/P3jAgMEM
        7X6y+dr9ZcQrGzG+AP9//3//f/9//3//f/9//3//f4O+D/o+6Pug74O+D/o+6Pug7wBCACCEIAMf16/WXoxqMbEB
        wAAvXoAAX0IA/3//f4OBXP7/f/8fGMjl/3//f4OBXP7/f/8fGMjl/3//f4OBXP7/f/8fGMjleZ2v16/Xr9ZfO1+v
        X69frL52v16/Xr9ZfO1+vX69frL52v16/Xr9ZcQrGzGzGzGxA/9//3//f/9//3//f/9//3//f/9//3//f/9//3//
        f/9//3//f/9//3//f/9/B2YHZgdmB2YHZgdmB2YHZgdmB2YHZgdmB2YHZgdmB2Z4CEACCIQAIIhAAgiEADH9ev16
        /Xr9Zf16/Xr9ev1l/Xr9ev16/WX9ev16/Xr9ZejGoxqMajG4A//Z
    """,
    HTJ2KLosslessRPCL: """
        /0//UQApQAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE
        BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv9VAAoAYAAAAAABwv+QAAoA
        AAAAAcIAAf+TwAAmv/oFB3QAwAATQAATAL79Aod0AHD5Awd0AMAAFTAABOD/fAdAAAFCtAC33voAgjQAwAAWlAAB
        agD/f/8ffhg3/v8fjAz+YgixtwD/f/9//3/fqEYZZdQAAA9z5DG4AMAAF1cAAF2o/3//f/8PPGDA4P9//3//QQcM
        GPz/f/9/P3jAgMEM7X6y+dr9ZcQrGzG+AP9//3//f/9//3//f/9//3//f4O+D/o+6Pug74O+D/o+6Pug7wBCACCE
        IAMf16/WXoxqMbEBwAAvXoAAX0IA/3//f4OBXP7/f/8fGMjl/3//f4OBXP7/f/8fGMjl/3//f4OBXP7/f/8fGMjl
        eZ2v16/Xr9ZfO1+vX69frL52v16/Xr9ZfO1+vX69frL52v16/Xr9ZcQrGzGzGzGxA/9//3//f/9//3//f/9//3//
        f/9//3//f/9//3//f/9//3//f/9//3//f/9/B2YHZgdmB2YHZgdmB2YHZgdmB2YHZgdmB2YHZgdmB2Z4CEACCIQA
        IIhAAgiEADH9ev16/Xr9Zf16/Xr9ev1l/Xr9ev16/WX9ev16/Xr9ZejGoxqMajG4A//Z
    """,
    JPEGLSLossless: """
        /9j/9wALEAAYACABAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAKAcC4IwbhDE8M4cx/ItLqMY40zfOt7wOHxu
        TzOf0ur2O33vDZLPgRASA0CQIgRAaBICgUCgEAgICAgIEQIgNAkBQKBQCAQEBAQEBAiEoHBIZBaQjo6MmTJUqVKk
        SILSEdHTJkyVKlSpEiRBaPQEgVCEHISQmiSIpBHo5GoxLSklCiFEJokiKQR6ORqMS0pJSEKIcQDBoZBqMlJqcmpi
        YrVqlSlDaenJqamJaWqVKVKhQhtEaCwSKhiDGnVLmC9euXLVqRMF69cuWrVixYrVq0iSpCwUVC0mDGnVLmTNmzZM
        kpZMmTFiwYMF69euXJSmKHgoqKUY8FGG3yZcwYLrBs1alShQoTJkyRIksFwh4EiJa2yxVZdIFC5s4tzJgwXLFipU
        oUJkyS3X6AkCoQg5CSFUYRtPKFSKdVK1wc0hJESGoSgqAv18vV4u10uVwkRJiAYNDINRklMUFNWWVxfYmVoSCuXx
        9fHt6eXh3dnV0c0lpTQWCRUMRMDGnVLmTVw8fkSgNje5Ors6ujm5OLg3typK0hYKKharNiwpVK1i0cO36fr7EytD
        W3N7c2tjW1NSsrCh4KKilunJgxp1a5k2cvU+U1daXmFlaGtsbGtqKlgWhDwJESv1ZsWFKpWkChc2vVa5k1cvH5GT
        FJUUlDnd6PAkRBH3jTDNdt8kWMrxClUrWLRw7fkRMUlTueyPAkQ5L7nXHJZp4iVMrtHgSKFi9m2dPSAjJnm/UeBI
        jE/utcclmnSJUwulOXDiTKlzFq4ePyN5EIjwJEUn/z2yxVZcIFDC5W6cmDGu08SLGTog8SLR4EiKU/73zwUYcIEy
        64Id754KMOECZc0eeBJI8CiIVoecaYKLlnixy3Je8645LNPEipk47yZTwURBtHzjmNvLPFDlsT/72yxVZcIFC5t3
        FAngoiDZNtHMbeWcKGrUrR840wzXbfJljTtKdPBRDHSrae424o4UNdC1H3nXDNdp4kVMuwD//9k=
    """,
    JPEGLosslessSV1: """
        /9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAYACABAREA/8QAGwABAQEBAQEBAQAAAAAAAAAABwYFBAMCCBD/2gAI
        AQEAAQAA/vr26u7S1treoqaqrrK2ur5CRkpOUlZaXmJmam5ydnr0+vbq7tLW2t6ipqqusra6vkJGSk5SVlpeYmZq
        bnJ2euz69uru0tba3qKmqq6ytrq+QkZKTlJWWl5iZmpucnZ61Pr26u7S1treoqaqrrK2ur5CRkpOUlZaXmJmam5y
        dnrc+vbq7tLW2t6ipqqusra6vkJGSk5SVlpeYmZqbnJ2eqT69uru0tba3qKmqq6ytrq+QkZKTlJWWl5iZmpucnZ6
        rPr26u7S1treoqaqrrK2ur5CRkpOUlZaXmJmam5ydnq0+vbq7tLW2t6ipqqusra6vkJGSk5SVlpeYmZqbnJ2erz6
        9uru0tba3qKmqq6ytrq+QkZKTlJWWl5iZmpucnZ6RPr26u7S1treoqaqrrK2ur5CRkpOUlZaXmJmam5ydnpM+vbq
        7tLW2t6ipqqusra6vkJGSk5SVlpeYmZqbnJ2elT69uru0tba3qKmqq6ytrq+QkZKTlJWWl5iZmpucnZ6XPr26u7S
        1treoqaqrrK2ur5CRkpOUlZaXmJmam5ydnpk+vbq7tLW2t6ipqqusra6vkJGSk5SVlpeYmZqbnJ2emz69uru0tba
        3qKmqq6ytrq+QkZKTlJWWl5iZmpucnZ6dPr26u7S1treoqaqrrK2ur5CRkpOUlZaXmJmam5ydnp8+vbq7tLW2t6i
        pqqusra6vkJGSk5SVlpeYmZqbnJ2ev0J9e3V3aWttb1FTVVdZW11fISMlJykrLS8xMzU3OTs9foz69uru0tba3qK
        mqq6ytrq+QkZKTlJWWl5iZmpucnZ6/Sn17dXdpa21vUVNVV1lbXV8hIyUnKSstLzEzNTc5Oz1+nPr26u7S1treoq
        aqrrK2ur5CRkpOUlZaXmJmam5ydnr9SfXt1d2lrbW9RU1VXWVtdXyEjJScpKy0vMTM1Nzk7PX6s+vbq7tLW2t6ip
        qqusra6vkJGSk5SVlpeYmZqbnJ2ev1p9e3V3aWttb1FTVVdZW11fISMlJykrLS8xMzU3OTs9f///2Q==
    """,
    JPEGLossless: """
        /9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAYACABAREA/8QAGwAAAwEBAQEBAAAAAAAAAAAABQYHBAMCCBD/2gAI
        AQEABgAA/eu2rcSLGjzEzNTc5Oz0/UKjUqnVKrVqvWKzWq3XK7Xrp69evXr169evXr169evXr169evXr169evXr1
        62du3bt27du3bt27du3bt27du3bt27du3bt27dimrVq1atWrVq1atWrVq1atWrVq1atWrVq1atWo5u3bt27du3bt
        27du3bt27du3bt27du3bt27duZCRIkSJEiRIkSJEiRIkSJEiRIkSJEiRIkSJEiTYWLFixYsWLFixYsWLFixYsWLF
        ixYsWLFixYsWdDRo0aNGjRo0aNGjRo0aNGjRo0aNGjRo0aNGjT4ePHjx48ePHjx48ePHjx48ePHjx48ePHjx48eo
        jExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTFTGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmaqNT
        U1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NTU1NVcbm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubrI5OTk
        5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5Wx2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2uj09PT09
        PT09PT09PT09PT09PT09PT09PT09PT09PT1fH5+fn5+fn5+fn5+fn5+fn5+fn5+fn5+fn5+fn5+fn76EoVCoVCoV
        CoVCoVCoVCoVCoVCoVCoVCoVCoVCoVCoVCoVCoX0ZRqNRqNRqNRqNRqNRqNRqNRqNRqNRqNRqNRqNRqNRqNRqNRv
        pSlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlfTlOp1Op1Op1Op1Op1Op1Op1Op1Op1Op1Op1Op1O
        p1Op1Op1O+pKlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUqlUql9WVarVarVarVarVarVarVarVarVarV
        arVarVarVarVarVarVb60rVarVarVarVarVarVarVarVarVarVarVarVarVarVarVarX///Z
    """,
    JPEG2000Lossless: """
        /0//UQApAAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABCwEB/1IADAAAAAEAAQQEAAH/XAAHQGBo
        aHD/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAAEqAAH/k9/jfBI2V7GQPuXo
        j0kN/yrPzUCV/XDIzT5eESIvoJUmzks4qgHRXtRzXWEWkR2P6ONn5HmN4c2YgewQb6pqZc//SnxsSfauxHR88rY5
        4gDdJL8f/yVhbKpR6l822JfrHyVRLI2Rfnk8+ZKzc/p+tnbpuzY10BBscBsBpV0BDrxXb6Q+vDa/8jiJxE4icROI
        nETiJxE4iipM2vbv5P2OXWanbdfN83zfN83zfN83zfN83z3A9qrNquz8E+LJ1X5BX7DNESTEFi8LNPnDIVg/tg4R
        JMQWLws077eEiWi/kEBfLfPAfaMwPwGgX6fHu5JiAC+TcfDCWbZwbHOBUTKEhHOUk4ykKT/7ytgDBNoxSsiqxqSC
        KyKBYIPGH/9//9k=
    """,
    JPEGBaseline8Bit: """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJ
        BwYGCAsICQoKCgoKBggLDAsKDAkKCgr/wAALCAAYACABAREA/8QAFwAAAwEAAAAAAAAAAAAAAAAABgcICf/EACMQ
        AAECBAcBAQAAAAAAAAAAAAEABAYHEzECAwgiJCVCBVL/2gAIAQEAAD8AwY+fD7mqNhujyC4fc1cOw3Cfkpofc1cv
        YbhV5IKH3NXJ2G4UB/Pks5qjiG/5R5BclnNXDxDceU/JTSWc1cviG48qvJBSWc1cniG48pB/P0muao603/CPIL0m
        uauHrTceE/JTaTXNXL603HhV5ILSa5q5PWm48L///9k=
    """,
    HTJ2K: """
        /0//UQApQAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAAJv9SAAwAAgABAAUE
        BEAA/1wAIyKUXZQ3lDeUEoxJjEmMMYSIhIiEnH0hfSF9jXT2dPZ0mf9kABcAAU9wZW5KUEggVmVyIDAuMjYuMy7/
        kAAKAAAAAADNAAH/k8AAE4DZh/4GB3QAwAATQAATAHz+Aod0AND4Awd0AMAAKmAAEwCrVqFG/QECtACPHwBiNADA
        AFZAAFeALy8ICC8Q/ocwwrUAw2EY9Orp6f0CT3Pkp1cAwAC0IABa4MsiCMsiCMsiCOcElJBCtwCROCKOxEgciZE4
        EiPx+gQgU6YQgU3aAMABacABdCCJndiJndiJndj5/ElJSUlJIroAY4cdGzs2dmzs2NixsWNjx8b+/3GHJTp8lOny
        U6fJTd8A/9k=
    """,
    JPEGLSNearLossless: """
        /9j/9wALDAAYACABAREA/9oACAEBAAIAANOd3une/2koqqrssttuvvkSJMqVLlzKYQhVSlEoqRJJUpRKK0iSVKrJ
        sRETJtklRETbJJKjWZEQRERIkRJIIiIiREiQyEszGNMUhSkI7u7nNKUpCkIR3PRWRMdyEI7kd3d5SlIQju7u8hUi
        IiERGIRiMzIIQhCEIR3IQW8hISpkQhCEMQiilIUhCEIRyi25ctkyMQhjGMspSkKUhCkIWcfIu9myMQhhBGlMUxSm
        KUpTTkqYXa4yYhjDFhGBnGMY8pTHlKcISqkbGMaUxziCCjDDniBIgQIEHnnniBazZsVXchCmMc4gp5x54g888444
        WLVdkRcRmYhClMcQ8w004444444mOeRESriKzEIQxjiSiyyzDTjjjSpZHIuu5mq7EIUxz3kkFFFGFmmli6ci7dmY
        qu5CFOa17iCCSSizCxlOi77uYiIzGM1i2tc4h5JJJc0nRc6+3ZGYhmqUtbWte8ggsbTosdfbMjMQzUJUpjGte95Y
        4uix1/syIxDNRhLO5ClMcqdXJY7/bMiMQxmoiszkKUxU+vSR3X2bIxCGcuIzMQhTFBBekhX/eREQhGLuIjMRylKA
        /9k=
    """,
    JPEGExtended12Bit: """
        /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJ
        BwYGCAsICQoKCgoKBggLDAsKDAkKCgr/wQALDAAYACABAREA/8QAFwAAAwEAAAAAAAAAAAAAAAAACgsMDf/EAC0Q
        AAABBwsFAQEAAAAAAAAAAAIABQgLFzRRBAcJDCYoKURFRmIBAwYKYXJx/9oACAEBAAA/AMGjQAoAUj2kSKxRweA5
        cUf4R4Hpc0AKR7SPE7FHB47GXFHp8J+AqcaAFI9pE2tijg8STLiiH4VeAoKqAFI9pEy1ijg8G/LiiD4UB+gApckj
        2kSK6gcHgOiij+SPA9LlS5JHtI8TuoHB47Giij04k/AVOKlySPaRNrdQODxJNFFEPEq8BQVKXJI9pEy11A4PBv0U
        UQcSQfoAVTkSPaRIsNY4PAdpij+CPA9LmqciR7SPE8NY4PHY2mKPTgT8BU41TkSPaRNrhrHB4km0xRDwKvAUFVU5
        Ej2kTLYaxweDftMUQcC////Z
    """,
    JPEG2000: """
        /0//UQApAAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABCwEB/1IADgECAAEAAQQEAACIiP9cAAtC
        aCR303fTd2L/ZAAlAAFDcmVhdGVkIGJ5IE9wZW5KUEVHIHZlcnNpb24gMi41LjT/kAAKAAAAAADGAAH/k8+ynRFQ
        VED7VEn8VbF2IV4KFtOf9ZYdWSIAYCctZszNk568N411eRLQBER2GbhpQcSZj2l4cDwvGiieHYJYal/YPneSNVp/
        GJbO1cK6GeT7U+ZhS+T7lHutrexdrOpjvf8XyVBQ6hNVy0VFxhsE9MPJfc+Ow2XAcAxANFTTnFPaBa6T+ULJ7gCA
        FJnVIJwKmaQkbLN467B/GFhie2EK7WTAPDQH0jBfp8elif6MpCk9mX1R81Uln/z/2Q==
    """,
}
