"""The decoding process: one view after the other, from its file to the network's scale.

A damaged or hostile file may crash the codec that reads it, hold it for ever or
fill the memory. That must cost this view and nothing else, so decoders are
processes that may die (`triage.pipeline.decoders` keeps them). They are small
and quick to start: torch, database and settings stay out.
"""

import contextlib
import ctypes
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from triage.core.reasons import Code
from triage.dicom.pixels import read_view
from triage.errors import ViewUnreadable
from triage.model.preprocess import Grey, fit, read_picture, scale
from triage.pipeline import wire
from triage.pipeline.wire import FIT, Kind, Picture, Unread

# Bytes of data, code and shared libraries not counted. 100 million pixels, the most that are
# decoded, take 0.9 GB as 16-bit JPEG 2000 and 1.2 GB as 32-bit samples, the greediest grey
# ones. Two decoders that a hostile sender fills leave room on a server of 4 GiB for the scorer's
# 0.8 and the receiver. Colours of that size, a capture and no radiograph, do not fit.
MEMORY = 1280 << 20
OOM_SCORE = 900  # where memory ends all the same, a decoder ends before the scorer (500)
PR_SET_PDEATHSIG = 1  # linux/prctl.h

READERS: dict[str, Callable[[Path, int], Grey]] = {
    Kind.DICOM: read_view,
    Kind.PICTURE: lambda path, _frame: read_picture(path),
}
# Trying these again would change nothing.
FINAL = (Code.TOO_LARGE, Code.NOT_AN_IMAGE)


class MemoryExhausted(Exception):
    """A view needs more memory than a decoder may have."""


def read(request: dict[str, Any]) -> Picture:
    """Return the picture that is asked for.

    Raises ViewUnreadable, or MemoryExhausted.
    """
    try:
        grey = READERS[request["kind"]](Path(request["path"]), request["frame"])
        side, resize = request["side"], request["resize"]
        shown = fit(grey, side) if resize == FIT else scale(grey, side, resize)
        rows, columns = shown.shape
        return Picture(rows, columns, shown.tobytes())
    except MemoryError as error:
        raise MemoryExhausted from error
    except ViewUnreadable as error:
        if isinstance(error.__cause__, MemoryError):
            raise MemoryExhausted from error
        raise


def serve(connection: socket.socket) -> None:
    """Answer requests until the pool closes the connection."""
    with connection, connection.makefile("rb") as requests:
        connection.sendall(wire.READY)
        for line in requests:
            connection.sendall(wire.TAKEN)
            try:
                answer = wire.answer_of_picture(read(json.loads(line)))
            except MemoryExhausted:
                sentence = f"decoding takes more than {MEMORY >> 20} MiB of memory"
                answer = Unread(code=Code.TOO_LARGE, sentence=sentence, spent=True).line()
            except ViewUnreadable as error:
                code = Code(error.code)
                answer = Unread(code=code, sentence=str(error), final=code in FINAL).line()
            except Exception as error:  # what a library makes of a file that it did not expect
                sentence = f"the view cannot be decoded ({type(error).__name__}: {error})"
                answer = Unread(code=Code.UNDECODABLE, sentence=sentence).line()
            connection.sendall(answer)


def confine() -> None:
    """Bound what a file can do to the machine through this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # our parent decides when we end
    # A codec that hangs never sees the connection close. Nothing is lost if this is refused.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it would hold a patient's pixels
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


def hush() -> None:
    """Keep what the codecs print out of the log; what failed is in the answer."""
    logging.disable()  # pydicom's tracebacks
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def main() -> None:
    """Run as ``python -m triage.pipeline.decode FD``: FD is the connection to the pool."""
    confine()
    hush()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the pool is gone
        serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
