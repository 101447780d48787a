"""What the pool of decoders and a decoding process say to each other.

The process says a line when it is ready. From then on the pool sends a request,
a line of JSON; the process says at once that it has it, and later answers with a
line of JSON and, if it could read the view, the picture's bytes behind it.

A hostile file may take over the process that decodes it. Whatever comes from
there is therefore judged as data and never unpickled: the pool knows how large
a picture may be, and each of its bytes is a shade of grey.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from triage.core.reasons import Code, reason

READY = b"ready\n"
TAKEN = b"taken\n"  # without it, the end of the process is not this request's fault
MAX_LINE = 8192  # bytes
MAX_SENTENCE = 500  # characters


FIT = "fit"  # beside a card's ways to scale: as it is, or smaller where it is larger than asked


class Kind(StrEnum):
    """What a file is read as."""

    DICOM = "dicom"
    PICTURE = "picture"  # PNG or JPEG


@dataclass(frozen=True, kw_only=True)
class Request:
    """A view to read, and how large it is wanted."""

    path: str
    frame: int  # from 1; of a picture the only one
    kind: str  # a Kind
    side: int  # pixels, height and width of the answer; with FIT, the most of each
    resize: str  # a `triage.model.card.Resize`, or FIT

    def line(self) -> bytes:
        """Return what is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True)
class Picture:
    """A view that was read."""

    rows: int
    columns: int
    pixels: bytes  # uint8, row by row; black is 0


@dataclass(frozen=True, kw_only=True)
class Unread:
    """Why a view could not be decoded."""

    code: Code
    sentence: str
    final: bool = False  # trying again would change nothing
    spent: bool = False  # the decoder is to be replaced: its memory ran out, perhaps by a leak

    @property
    def reason(self) -> str:
        """The reason as it is stored and shown."""
        return reason(self.code, self.sentence)

    def line(self) -> bytes:
        """Return what is sent in a picture's place."""
        sentence = self.sentence[:MAX_SENTENCE]
        return json.dumps({**asdict(self), "sentence": sentence}).encode() + b"\n"


class BadAnswer(Exception):
    """The process says what no sound decoder says."""


def answer_of_picture(picture: Picture) -> bytes:
    """Return what is sent of a view that was read."""
    line = json.dumps({"picture": [picture.rows, picture.columns]})
    return line.encode() + b"\n" + picture.pixels


def parse_answer(heard: bytes | bytearray, request: Request) -> Picture | Unread | None:
    """Return the picture that was asked for or why there is none; None while it is not whole.

    Raises BadAnswer.
    """
    end = heard.find(b"\n", 0, MAX_LINE + 1)
    if end < 0:
        if len(heard) > MAX_LINE:
            raise BadAnswer
        return None
    try:
        said = json.loads(heard[:end])
        if "picture" in said:
            return _picture(heard, end + 1, said["picture"], request)
        if len(heard) > end + 1:
            raise BadAnswer
        sentence = "".join(c if c.isprintable() else " " for c in said["sentence"][:MAX_SENTENCE])
        return Unread(
            code=Code(said["code"]),
            sentence=sentence,
            final=said["final"] is True,
            spent=said["spent"] is True,
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BadAnswer from error


def _picture(
    heard: bytes | bytearray, start: int, shape: object, request: Request
) -> Picture | None:
    match shape:
        case [int(rows), int(columns)]:
            most = request.side
            fits = 1 <= rows <= most and 1 <= columns <= most
            if not fits or (request.resize != FIT and rows * columns != most * most):
                raise BadAnswer
        case _:
            raise BadAnswer
    size = rows * columns
    if len(heard) > start + size:
        raise BadAnswer
    if len(heard) < start + size:
        return None
    return Picture(rows, columns, bytes(memoryview(heard)[start:]))
