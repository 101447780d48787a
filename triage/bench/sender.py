"""A sending process: ``python -m triage.bench.sender FD PORT FILE...``.

Over the socket FD it says a line when it could begin, begins when it hears one, and says in JSON
when it began and when each object was answered (seconds since the epoch), with which status.
"""

import json
import socket
import sys
import time
from pathlib import Path

from triage.dicom import scu
from triage.quickstart.daemon import HOST


def main() -> None:
    """Send the files in one association."""
    starter = socket.socket(fileno=int(sys.argv[1])).makefile("rw")
    port, files = int(sys.argv[2]), [Path(name) for name in sys.argv[3:]]
    answers: list[tuple[str, float, int]] = []

    def note(sent: scu.Sent) -> None:
        answers.append((sent.sop_instance_uid, time.time(), sent.status))

    starter.write("ready\n")
    starter.flush()
    starter.readline()
    begun = time.time()
    scu.send(files, host=HOST, port=port, on_sent=note)
    json.dump({"begun": begun, "answers": answers}, starter)
    starter.write("\n")
    starter.flush()


if __name__ == "__main__":
    main()
