"""The receiver goes before the network, without a privilege."""

import json
import os
import platform
import subprocess
import sys

from triage import priority


def in_a_process(code):
    ran = subprocess.run(
        [sys.executable, "-c", "import json, os, threading\nfrom triage import priority\n" + code],
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
    code = """
done = priority.go_first()
lines = open("/proc/self/sched").read().splitlines() if os.path.exists("/proc/self/sched") else []
slices = [int(line.split(":")[1]) for line in lines if line.startswith("se.slice")]
print(json.dumps([done, slices]))
"""
    done, slices = in_a_process(code)
    assert done
    if tuple(map(int, platform.release().split(".")[:2])) >= (6, 12):
        assert slices in ([], [priority.SHORTEST])  # some kernels do not tell


def test_who_goes_as_usual_has_no_slice_of_its_own_whoever_started_it():
    code = """
priority.go_first()
done = priority.go_as_usual()
lines = open("/proc/self/sched").read().splitlines() if os.path.exists("/proc/self/sched") else []
slices = [int(line.split(":")[1]) for line in lines if line.startswith("se.slice")]
print(json.dumps([done, os.sched_getscheduler(0), slices]))
"""
    done, scheduler, slices = in_a_process(code)
    assert done
    assert scheduler == os.SCHED_OTHER
    assert priority.SHORTEST not in slices


def test_on_a_processor_whose_number_of_the_call_is_not_known_nothing_is_done(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "vax")
    assert not priority.go_first()
