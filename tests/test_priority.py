"""The receiver goes before the network, without a privilege."""

import json
import os
import platform
import subprocess
import sys

from triage import priority

HAS_SLICES = tuple(map(int, platform.release().split(".")[:2])) >= (6, 12)
SLICE = "slice_of_this_thread()"
# sched_getattr(2) tells from then on what sched_setattr(2) has set; /proc tells it on some kernels.
PRELUDE = """
import ctypes, json, os, platform, struct, threading
from triage import priority

def slice_of_this_thread():
    attributes = ctypes.create_string_buffer(48)
    call = {"x86_64": 315, "aarch64": 275}[platform.machine()]
    assert ctypes.CDLL(None).syscall(call, 0, attributes, 48, 0) == 0
    return struct.unpack("=IIQiIQQQ", attributes.raw)[5]
"""


def in_a_process(code):
    ran = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_who_stands_back_yields_to_others_and_so_do_its_threads():
    code = """
seen = []
priority.stand_back()
def look():
    seen.extend([os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())])
thread = threading.Thread(target=look)
thread.start()
thread.join()
print(json.dumps(seen))
"""
    assert in_a_process(code) == [os.SCHED_BATCH, priority.NICENESS]


def test_who_was_made_nicer_already_stays_so():
    code = """
os.nice(12)
priority.stand_back()
priority.go_first()
print(json.dumps([os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)]))
"""
    assert in_a_process(code) == [os.SCHED_OTHER, 12]


def test_who_goes_first_has_the_shortest_slice_from_linux_6_12_on():
    code = f"print(json.dumps([priority.go_first(), {SLICE}]))"

    assert in_a_process(code) == [True, priority.SHORTEST if HAS_SLICES else 0]


def test_who_goes_as_usual_has_no_slice_of_its_own_whoever_started_it():
    # Whoever runs the tests may have a slice of their own, which a process would inherit.
    usual = in_a_process(f"priority.go_as_usual(); print(json.dumps({SLICE}))")
    code = f"""
priority.go_first()
print(json.dumps([priority.go_as_usual(), os.sched_getscheduler(0), {SLICE}]))
"""

    assert in_a_process(code) == [True, os.SCHED_OTHER, usual]
    assert usual > priority.SHORTEST or not HAS_SLICES


def test_on_a_processor_whose_number_of_the_call_is_not_known_nothing_is_done(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "vax")
    assert not priority.go_first()
