"""A sender that a kill does not impress: what was not acknowledged, it sends again."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from pydicom import dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from tests.support.daemon import HOST
from tests.support.studies import Sample


class StubbornSender:
    """Sends samples from its own thread until each was acknowledged with success."""

    def __init__(self, port: int, samples: Sequence[Sample], *, pause: float = 0.0) -> None:
        """*pause* is the seconds between two objects."""
        self.acknowledged: set[str] = set()
        self.interrupted = 0  # objects whose answer never came
        self.in_flight = threading.Event()
        self.pause = pause
        self._port = port
        self._samples = samples
        self._thread = threading.Thread(target=self._send_all)

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait until everything is acknowledged."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"{len(self.acknowledged)} of {len(self._samples)}"

    def _send_all(self) -> None:
        waiting = list(self._samples)
        give_up = time.monotonic() + 300
        while waiting and time.monotonic() < give_up:
            entity = AE("SENDER")
            entity.add_requested_context(
                DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
            )
            entity.connection_timeout = entity.acse_timeout = entity.network_timeout = 5
            entity.dimse_timeout = 20
            association = entity.associate(HOST, self._port, ae_title="TRIAGE")
            if association.is_established:
                self._send(association, waiting)
                association.release() if association.is_established else association.abort()
            waiting = [s for s in waiting if s.sop_instance_uid not in self.acknowledged]
            time.sleep(0.1)

    def _send(self, association: Association, samples: Sequence[Sample]) -> None:
        for sample in samples:
            dataset = dcmread(sample.file)
            status = None
            self.in_flight.set()
            with suppress(RuntimeError):  # pynetdicom: the association is gone already
                status = association.send_c_store(dataset).get("Status")
            self.in_flight.clear()
            if status != 0x0000:
                self.interrupted += 1
                return
            self.acknowledged.add(sample.sop_instance_uid)
            time.sleep(self.pause)
