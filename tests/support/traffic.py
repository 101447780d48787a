"""A department's traffic, for as long as it is wanted: senders, readers, and peers that send noise.

The senders keep a ledger of what was acknowledged, against which the daemon is held at the end.
"""

import gc
import hashlib
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.dsutils import encode

from tests.support import objects, studies
from tests.support.daemon import HOST, Daemon, environment
from triage.core.studytype import StudyType

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)
IMAGES = (DigitalXRayImageStorageForPresentation, ComputedRadiographyImageStorage)
NOISE = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x01\x00\x00\x00\x00\xcd",  # an A-ASSOCIATE-RQ that ends after its length
    b"\x04\x00\xff\xff\xff\xff",  # a P-DATA-TF of 4 GiB, before any association
    bytes(range(256)) * 16,
)
# What the reader's commands do, as often as there are studies, without a second's start for each.
READER = """
import sys
from datetime import UTC, datetime
from triage.store import queries, reading
from triage.store.database import Database
database = Database(sys.argv[1])
for line in sys.stdin:
    study = queries.find_study(database, line.strip())
    reading.claim(database, study, "anna", datetime.now(UTC))
    reading.mark_read(database, study, "anna", "abnormal", datetime.now(UTC))
    print("read", flush=True)
"""


@dataclass(frozen=True)
class Sent:
    """One acknowledged object: the last one of its SOP Instance UID counts."""

    study_instance_uid: str
    digest: str  # of transfer syntax and bytes, as the spool names it
    size: int  # bytes of the encoded data set
    kind: str


@dataclass
class Ledger:
    """What was acknowledged, by SOP Instance UID, and how often what was sent."""

    current: dict[str, Sent] = field(default_factory=dict)
    former: set[str] = field(default_factory=set)  # digests that were replaced
    counts: Counter[str] = field(default_factory=Counter)


class Traffic:
    """Senders, a reader and noise around one daemon; `stop` ends them and what they hold."""

    def __init__(
        self,
        daemon: Daemon,
        pictures: Sequence[Any],
        *,
        a_second: float,
        seed: int,
        senders: int = 6,
    ) -> None:
        """Prepare it; *pictures* are (H, W) uint8, *a_second* is images over all senders."""
        self.ledger = Ledger()
        self._daemon = daemon
        self._pictures = pictures
        self._pause = 1 / a_second
        self._chance = random.Random(seed)  # noqa: S311  traffic, not secrets
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self._number = 0
        self._encoded: dict[tuple[int, str], bytes] = {}  # by picture and transfer syntax
        self._again: deque[Dataset] = deque(maxlen=300)  # acknowledged; for who sends it once more
        self._ending = threading.Event()
        self._threads = [
            *(
                threading.Thread(target=self._send, name=f"sender {n}", daemon=True)
                for n in range(senders)
            ),
            threading.Thread(target=self._read, name="reader", daemon=True),
            threading.Thread(target=self._disturb, name="noise", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it: objects in hand are sent until they are acknowledged."""
        self._ending.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), f"{thread.name} does not end"
        gc.collect()  # pynetdicom forgets to close what was refused; nobody else is to meet it

    def _send(self) -> None:
        while not self._ending.is_set():
            with self._lock:
                kind, datasets = self._consignment()
            self._deliver(kind, datasets)

    def _consignment(self) -> tuple[str, list[Dataset]]:
        """Make up what one association brings."""
        self._number += 1
        name = f"SOAK{self._number:06}"
        kind = self._chance.choices(
            ("plain", "duplicate", "replacement", "outside", "report", "damaged"),
            weights=(74, 8, 6, 6, 3, 3),
        )[0]
        if kind in ("duplicate", "replacement") and len(self._again) > 50:
            place = self._chance.randrange(len(self._again))
            former = self._again[place]
            del self._again[place]  # nobody else sends it meanwhile
            return kind, [former if kind == "duplicate" else self._replaced(former)]
        if kind == "report":
            return kind, [self._image(name, 1), objects.report(name)]
        if kind == "damaged":
            return kind, [objects.truncated(name, self._chance.choice(self._pictures), 1)]
        if kind == "outside":
            leg = self._image(name, 1)
            leg.BodyPartExamined = "KNEE"
            del leg.AnatomicRegionSequence
            return kind, [leg]
        return "plain", [self._image(name, n) for n in range(1, self._chance.randint(1, 3) + 1)]

    def _image(self, name: str, number: int) -> Dataset:
        part = self._chance.choice((StudyType.HAND, StudyType.WRIST, StudyType.SHOULDER))
        picture = self._chance.randrange(len(self._pictures))
        made = studies.make(name, self._pictures[picture], number, study_type=part)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = self._chance.choice(IMAGES)
        made.Modality = "DX" if made.SOPClassUID == IMAGES[0] else "CR"
        return self._in_a_syntax(made, picture)

    def _in_a_syntax(self, made: Dataset, picture: int) -> Dataset:
        """Write the picture's pixels in a transfer syntax by chance, encoding them once."""
        syntax = self._chance.choice(SYNTAXES)
        if not syntax.is_encapsulated:
            made.file_meta.TransferSyntaxUID = syntax
        elif (known := self._encoded.get((picture, syntax))) is None:
            made.compress(syntax, generate_instance_uid=False)
            self._encoded[picture, syntax] = made.PixelData
        else:
            made.file_meta.TransferSyntaxUID = syntax
            made.PixelData = known
            made["PixelData"].VR = "OB"
            made["PixelData"].is_undefined_length = True
        return made

    def _replaced(self, former: Dataset) -> Dataset:
        """Return another image under the same identifiers."""
        picture = self._chance.randrange(len(self._pictures))
        made = studies.make("SOAK", self._pictures[picture], int(former.InstanceNumber))
        for keyword in (
            *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"),
            *("AccessionNumber", "PatientID", "PatientName", "Modality", "BodyPartExamined"),
        ):
            setattr(made, keyword, getattr(former, keyword))
        made.AnatomicRegionSequence = former.AnatomicRegionSequence
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        return self._in_a_syntax(made, picture)

    def _deliver(self, kind: str, datasets: list[Dataset]) -> None:
        """Send until each is acknowledged, at the pace of all senders together."""
        waiting = list(datasets)
        while waiting:
            association = _entity().associate(HOST, self._daemon.port, ae_title="TRIAGE")
            while waiting and association.is_established:
                self._wait_for_the_turn()
                status = None
                with suppress(RuntimeError):  # pynetdicom: the association is gone already
                    status = association.send_c_store(waiting[0]).get("Status")
                if status != 0x0000:
                    with self._lock:
                        self.ledger.counts["sent in vain"] += 1
                    break
                self._note(kind, waiting.pop(0))
            if association.is_established:
                association.release()
            if waiting:
                time.sleep(0.3)

    def _wait_for_the_turn(self) -> None:
        with self._lock:
            self._next = max(self._next + self._pause, time.monotonic() - 1)
            pause = self._next - time.monotonic()
        time.sleep(max(0.0, pause))

    def _note(self, kind: str, dataset: Dataset) -> None:
        syntax = dataset.file_meta.TransferSyntaxUID
        data = encode(
            dataset, syntax.is_implicit_VR, syntax.is_little_endian, deflated=syntax.is_deflated
        )
        assert data is not None
        digest = hashlib.sha256(syntax.encode() + b"\0" + data).hexdigest()
        uid = str(dataset.SOPInstanceUID)
        with self._lock:
            former = self.ledger.current.get(uid)
            if former is not None and former.digest != digest:
                self.ledger.former.add(former.digest)
            self.ledger.current[uid] = Sent(
                str(dataset.StudyInstanceUID), digest, len(data), former.kind if former else kind
            )
            self.ledger.counts[kind] += 1
            if kind == "plain":
                self._again.append(dataset)

    def _read(self) -> None:
        """Read what stands first, as long as the list is long, as readers do all day."""
        with subprocess.Popen(
            [sys.executable, "-c", READER, self._daemon.url],
            cwd=self._daemon.folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reader:
            assert reader.stdin is not None
            assert reader.stdout is not None
            while not self._ending.wait(2):
                rows = self._daemon.sql(
                    "SELECT study_instance_uid FROM worklist WHERE NOT provisional"
                    " ORDER BY position LIMIT 250"
                )
                for row in rows[: max(0, len(rows) - 100)]:
                    print(row["study_instance_uid"], file=reader.stdin, flush=True)
                    assert reader.stdout.readline(), "the reader has failed"
                    self.ledger.counts["read"] += 1
                    if self._ending.is_set():
                        break

    def _disturb(self) -> None:
        number = 0
        while not self._ending.wait(5):
            number += 1
            with suppress(OSError), socket.create_connection((HOST, self._daemon.port), 5) as peer:
                peer.sendall(NOISE[number % len(NOISE)])
                self.ledger.counts["noise"] += 1
                self._ending.wait(0.2)


def _entity() -> AE:
    entity = AE("SOAK")
    for sop_class in (*IMAGES, BasicTextSRStorage):
        for syntax in SYNTAXES:
            entity.add_requested_context(sop_class, syntax)
    entity.connection_timeout = entity.acse_timeout = entity.network_timeout = 10
    entity.dimse_timeout = 30
    return entity
