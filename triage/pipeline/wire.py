"""What the pool of decoders and a decoding process say to each other.

The process says a line when it is ready. From then on the pool sends a request,
a line of JSON; the process says at once that it has it, and later answers with a
line of JSON and, if it could read the view, the picture's bytes behind it.

A hostile file may take over the process that decodes it. Whatever comes from
there is therefore judged as data and never unpickled: the pool knows how many
bytes a picture has, and each of them is a shade of grey.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from triage.core.reasons import Code, reason

READY = b"ready\n"
TAKEN = b"taken\n"  # without it, the end of the process is not this request's fault
PICTURE = b'{"picture": true}'
MAX_LINE = 8192  # bytes
MAX_SENTENCE = 500  # characters


class Kind(StrEnum):
    """What a file is read as."""

    DICOM = "dicom"
    PICTURE = "picture"  # PNG or JPEG


@dataclass(frozen=True, kw_only=True)
class Request:
    """A view to read, and how large the network wants it."""

    path: str
    frame: int  # from 1; of a picture the only one
    kind: str  # a Kind
    side: int  # pixels, height and width of the answer
    resize: str  # a `triage.model.card.Resize`

    def line(self) -> bytes:
        """Return what is sent."""
        return json.dumps(asdict(self)).encode() + b"\n"


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


def answer_of_picture(picture: bytes) -> bytes:
    """Return what is sent of a view that was read; *picture* is (side, side) uint8."""
    return PICTURE + b"\n" + picture


def parse_answer(heard: bytes, size: int) -> bytes | Unread | None:
    """Return a picture's *size* bytes or why there is none; None while the answer is not whole.

    Raises BadAnswer.
    """
    line, newline, rest = heard.partition(b"\n")
    if len(line) > MAX_LINE or len(rest) > size:
        raise BadAnswer
    if not newline:
        return None
    if line == PICTURE:
        return rest if len(rest) == size else None
    try:
        said = json.loads(line)
        sentence = "".join(c if c.isprintable() else " " for c in said["sentence"][:MAX_SENTENCE])
        return Unread(
            code=Code(said["code"]),
            sentence=sentence,
            final=said["final"] is True,
            spent=said["spent"] is True,
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BadAnswer from error
