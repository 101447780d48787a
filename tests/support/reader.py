"""A reader at the web interface who claims and releases without rest, whoever kills what."""

import json
import threading
from http.client import HTTPException
from urllib.parse import quote

from tests.support.web import ask


class StubbornReader:
    """Claims the first study and gives it up again; what was not answered is asked again."""

    def __init__(self, port: int) -> None:
        self.claimed = 0  # that were answered as done, each given up again
        self.unheard = 0  # requests that got no answer
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="reader", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Give up what is claimed, and go."""
        self._ended.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "the reader gets no answer"

    def _work(self) -> None:
        while not self._ended.is_set():
            _, found = self._ask("/api/v1/worklist?limit=1")
            rows = json.loads(found)
            if not rows:
                self._ended.wait(0.05)
                continue
            study = f"/api/v1/studies/{quote(rows[0]['study_instance_uid'])}"
            # Again, where the answer to the first was lost: claiming one's own changes nothing.
            assert self._ask(f"{study}/claim", "POST")[0] == 204
            assert self._ask(f"{study}/release", "POST")[0] == 204
            self.claimed += 1

    def _ask(self, path: str, method: str = "GET") -> tuple[int, str]:
        while True:
            try:
                status, body = ask(self._port, path, method)
            except (OSError, HTTPException):
                self.unheard += 1
                self._ended.wait(0.02)
                continue
            if status != 503:  # its database is busy
                return status, body
