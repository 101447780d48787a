"""A sender that a kill does not impress: what was not acknowledged, it sends again.

It runs as a process of its own, ``python -m tests.support.sender PORT PAUSE FILE ...``,
and says on standard output what it does: ``sending UID``, ``stored UID``, ``lost UID``.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config

from tests.support.daemon import HOST, environment
from tests.support.studies import Sample


class StubbornSender:
    """The running sender, as the test sees it."""

    def __init__(self, port: int, samples: Sequence[Sample], *, pause: float) -> None:
        """*pause* is the seconds between two objects."""
        self.acknowledged: list[str] = []
        self.interrupted = 0  # objects whose answer never came
        self.in_flight = threading.Event()
        files = [str(sample.file) for sample in samples]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.sender", str(port), str(pause), *files],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def join(self, seconds: float) -> None:
        """Wait until everything is acknowledged."""
        code = self._process.wait(seconds)
        assert code == 0, f"the sender gave up after {len(self.acknowledged)} objects"
        self._listener.join()

    def end(self) -> None:
        """Leave nothing of it behind."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                word, uid = line.split()
                if word == "sending":
                    self.in_flight.set()
                    continue
                self.in_flight.clear()
                if word == "stored":
                    self.acknowledged.append(uid)
                else:
                    self.interrupted += 1


def main(port: int, pause: float, files: Sequence[str]) -> int:
    """Send the files until each was acknowledged with success; give up when none is in 5 minutes."""
    _config.STORE_SEND_CHUNKED_DATASET = True  # the bytes of the file, as they are
    waiting = [(file, read_file_meta_info(file)) for file in files]
    offered = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for _, meta in waiting}
    give_up = time.monotonic() + 300
    while waiting and time.monotonic() < give_up:
        entity = AE("SENDER")
        for sop_class, syntax in sorted(offered):
            entity.add_requested_context(sop_class, syntax)
        entity.connection_timeout = entity.acse_timeout = entity.network_timeout = 5
        entity.dimse_timeout = 20
        association = entity.associate(HOST, port, ae_title="TRIAGE")
        while waiting and association.is_established:
            file, meta = waiting[0]
            uid = meta.MediaStorageSOPInstanceUID
            status = None
            _say("sending", uid)
            with suppress(RuntimeError):  # pynetdicom: the association is gone already
                status = association.send_c_store(file).get("Status")
            _say("stored" if status == 0x0000 else "lost", uid)
            if status == 0x0000:
                del waiting[0]
                give_up = time.monotonic() + 300
                time.sleep(pause)
        if association.is_established:
            association.release()
        time.sleep(0.1)
    return len(waiting) > 0


def _say(word: str, uid: str) -> None:
    sys.stdout.write(f"{word} {uid}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
