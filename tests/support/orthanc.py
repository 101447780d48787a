"""Orthanc as the PACS."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.support.daemon import HOST, free_port
from tests.support.requirements import find_program
from tests.support.waiting import wait_until


class Orthanc:
    """A running Orthanc, asked by its REST API."""

    def __init__(self, port: int, dicom_port: int) -> None:
        self.dicom_port = dicom_port
        self._url = f"http://{HOST}:{port}"

    def upload(self, file: Path) -> dict[str, Any]:
        """Put a DICOM file into the PACS; returns Orthanc's names for it."""
        return dict(self._ask("/instances", file.read_bytes()))

    def send_study(self, study: str, modality: str) -> dict[str, Any]:
        """Send one of its studies to a modality by C-STORE and wait for the end."""
        return dict(self._ask(f"/modalities/{modality}/store", study.encode()))

    def echo(self, modality: str) -> None:
        """C-ECHO; an error of HTTP when the modality does not answer."""
        self._ask(f"/modalities/{modality}/echo", b"{}")

    def answers(self) -> bool:
        """Say whether the REST API is up."""
        try:
            self._ask("/system")
        except (URLError, ConnectionError):
            return False
        return True

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        request = Request(self._url + path, data=body)  # noqa: S310  our own server
        with urlopen(request, timeout=60) as answer:  # noqa: S310  likewise
            return json.loads(answer.read() or b"null")


@contextmanager
def running(
    folder: Path, modalities: dict[str, tuple[str, int]], **settings: Any
) -> Iterator[Orthanc]:
    """Run Orthanc; *modalities* are (AE title, loopback port) by name, *settings* its own."""
    http, dicom = free_port(), free_port()
    configuration = {
        "Name": "PACS",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": dicom,
        "DicomModalities": {name: [aet, HOST, port] for name, (aet, port) in modalities.items()},
        "Plugins": [],
        **settings,
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(configuration))
    program = find_program("Orthanc")
    assert program is not None
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [program, file], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    try:
        orthanc = Orthanc(http, dicom)
        wait_until(orthanc.answers, "Orthanc answers", seconds=60)
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)
