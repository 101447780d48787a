"""The word to end is heard at whatever moment it comes."""

import subprocess
import sys

from tests.support.daemon import environment

# A signal that comes while the main thread goes to wait, again and again; what waits on an event
# or a queue that a handler fills hangs after a few hundred.
SCRIPT = """
import os, signal, threading
from triage.ending import Ending
ending = Ending()
go = threading.Semaphore(0)

def tell():
    while True:
        go.acquire()
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=tell, daemon=True).start()
for _ in range(20_000):
    go.release()
    ending.wait()
os.kill(os.getpid(), signal.SIGINT)
ending.wait()
print("heard")
"""


def test_a_signal_that_comes_as_the_wait_begins_is_heard():
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.stdout == "heard\n", ran.stderr
