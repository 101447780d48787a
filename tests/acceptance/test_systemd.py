"""The service under a booted systemd: installed by the guide, killed, stopped, starved.

A Debian 12 tree boots in a container of systemd-nspawn, and the commands of
deploy/INSTALL.md run in it as they are printed. `TRIAGE_NSPAWN_ROOT` names a
tree made by debootstrap; without it one is made, which takes some minutes and
a Debian mirror, and installing needs a package registry and 7 GB of disk.
The container shares the machine's network, so the port is a free one.

    TRIAGE_NSPAWN_ROOT=/srv/bookworm pytest -m soak tests/acceptance/test_systemd.py
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.soak

REPOSITORY = Path(__file__).parents[2]
GUIDE = (REPOSITORY / "deploy/INSTALL.md").read_text("utf-8")
OPERATIONS = (REPOSITORY / "deploy/OPERATIONS.md").read_text("utf-8")
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,sudo"
WATCHDOG = 60  # seconds, WatchdogSec= of the unit
NEW_STUDIES = "--invent-series 1 --invent-study 1"  # storescu: each image is a study of its own
CERTIFICATES = "/root/registry.pem"  # of a registry that is not a public one
WORK = "/root/work"  # where the administrator stands; closed to the user triage


class Machine:
    """The booted container; *run* is its administrator's root shell."""

    def __init__(self, root: Path, init: int, port: int) -> None:
        self.root = root
        self.port = port
        self._enter = ["nsenter", "--target", str(init), "--all"]

    def run(self, commands: str, *, check: bool = True, timeout: float = 1800) -> str:
        """Run shell commands in the folder of the installation; return what they print."""
        done = subprocess.run(
            [*self._enter, "env", "-i", *_environment(), "bash", "-ec", f"cd {WORK}\n{commands}"],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command beside us."""
        return subprocess.Popen(
            [*self._enter, "env", "-i", *_environment(), "bash", "-c", f"cd {WORK}\n{command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def follow(self, section: str) -> str:
        """Do what a section of the guide says, to the letter but for the port."""
        return self.run("\n".join(blocks_of(GUIDE, section)).replace("11112", str(self.port)))

    def known(self, name: str) -> str:
        """Return what systemd knows about the service."""
        return self.run(f"systemctl show triage --property={name} --value").strip()

    @property
    def main_pid(self) -> int:
        return int(self.known("MainPID"))

    @property
    def scorer_pid(self) -> int:
        """The daemon's child that scores; 0 while there is none."""
        children = f"$(cat /proc/{self.main_pid}/task/*/children)"
        look = f"for p in {children}; do grep -q pipeline.score /proc/$p/cmdline && echo $p; done"
        found = self.run(look, check=False).split()
        return int(found[0]) if found else 0

    @property
    def seconds_to_ready(self) -> float:
        """From the start of the process to READY=1, of the last start."""
        started = int(self.known("ExecMainStartTimestampMonotonic"))
        return (int(self.known("ActiveEnterTimestampMonotonic")) - started) / 1e6

    def worklist(self) -> list[dict[str, Any]]:
        """Read the worklist as the guide says."""
        rows: list[dict[str, Any]] = json.loads(self.run("sudo -u triage triage worklist --json"))
        return rows

    def send(self, pattern: str = "*.dcm") -> None:
        self.run(f"storescu -aec TRIAGE 127.0.0.1 {self.port} {pattern}")

    def events(self, since: str) -> list[dict[str, Any]]:
        """Return the daemon's log since a moment (`now`)."""
        lines = self.run(f"journalctl --unit triage -o cat --since '{since}'").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def now(self) -> str:
        return self.run("date '+%Y-%m-%d %H:%M:%S.%6N'").strip()


def blocks_of(guide: str, section: str) -> list[str]:
    """Return the blocks of shell commands of a guide's section, in order."""
    text = guide.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def drop_in(heading: str) -> str:
    """Return the drop-in under a **heading** of the guide's section Variations."""
    text = GUIDE.split(f"**{heading}", 1)[1]
    return re.search(r"^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)


def eventually(question: Callable[[], object], *, within: float, every: float = 0.2) -> float:
    """Wait until *question* says yes; return the seconds that it took."""
    started = time.monotonic()
    while not question():
        waited = time.monotonic() - started
        assert waited < within, f"not within {within} s"
        time.sleep(every)
    return time.monotonic() - started


def all_scored(machine: Machine) -> bool:
    rows = machine.worklist()
    return bool(rows) and all(row["status"] == "scored" for row in rows)


def _environment() -> list[str]:
    """The administrator's environment, with this machine's way to the package registry."""
    ours = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "TMPDIR": "/var/tmp",  # nspawn's /tmp is a small one in memory  # noqa: S108
    }
    ours |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    if "PIP_CERT" in ours:
        ours["PIP_CERT"] = CERTIFICATES
    return [f"{name}={value}" for name, value in ours.items()]


@contextmanager
def booted(root: Path) -> Iterator[int]:
    """Boot the tree; yields the process id of its init, as this machine counts."""
    console = root.parent / "console.log"
    with console.open("wb") as output:
        container = subprocess.Popen(
            ["systemd-nspawn", "--boot", f"--directory={root}", "--machine=triage-acceptance",
             "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        init = 0
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children")

        def has_init() -> bool:
            nonlocal init
            assert container.poll() is None, console.read_text("utf-8")
            init = int((children.read_text("ascii").split() or ["0"])[0])
            return init > 0 and b"systemd" in Path(f"/proc/{init}/cmdline").read_bytes()

        eventually(has_init, within=30)
        enter = ["nsenter", "--target", str(init), "--all", "systemctl", "is-system-running"]

        def is_up() -> bool:
            said = subprocess.run(enter, capture_output=True, text=True, check=False).stdout
            return said.strip() in ("running", "degraded")

        eventually(is_up, within=120)
        yield init
    finally:
        container.send_signal(signal.SIGTERM)  # nspawn powers the container off
        try:
            container.wait(60)
        except subprocess.TimeoutExpired:
            container.kill()
            container.wait()


def make_tree(root: Path) -> None:
    given = os.environ.get("TRIAGE_NSPAWN_ROOT")
    if given:
        subprocess.run(["cp", "--archive", "--reflink=auto", f"{given}/.", root], check=True)
    else:
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root],
            check=True,
        )
    registry = Path("/etc/pip.conf")
    if registry.is_file():
        shutil.copy(registry, root / "etc/pip.conf")
    if "PIP_CERT" in os.environ:
        shutil.copy(os.environ["PIP_CERT"], root / CERTIFICATES.lstrip("/"))


def make_work(folder: Path) -> None:
    """Put down what the guide starts from: the wheel, the model, an image."""
    from triage.model import checkpoint
    from triage.model.card import Card, Preprocessing
    from triage.model.densenet import densenet169
    from triage.research.samples import write_phantoms

    folder.mkdir(mode=0o700, parents=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*build, "--wheel-dir", folder, REPOSITORY], check=True)
    weights = {name: tensor.half() for name, tensor in densenet169().state_dict().items()}
    card = Card(
        name="acceptance",
        version="1",
        training_data="none",
        licence="CC0",
        preprocessing=Preprocessing(size=224),
    )
    checkpoint.save(folder / "model.safetensors", weights, card)
    first = write_phantoms(folder).files[0]
    first.rename(folder / "IMAGE.dcm")


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    """A machine on which the guide was followed up to its seventh step."""
    base = tmp_path_factory.mktemp("machine")
    root = base / "root"
    root.mkdir()
    make_tree(root)
    make_work(root / WORK.lstrip("/"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with booted(root) as init:
        machine = Machine(root, init, port)
        for section in ("1. Packages", "2. The program", "3. User and folders", "4. Settings"):
            machine.follow(section)
        machine.follow("5. The model")
        machine.follow("6. The service")
        yield machine
    shutil.rmtree(root)


def test_the_guide_leads_to_a_scored_study(machine, report_figure):
    shown = machine.follow("7. Try it")

    assert machine.known("ActiveState") == "active"
    assert "PHANTOM" in shown
    eventually(lambda: all_scored(machine), within=60)
    report_figure(f"READY after {machine.seconds_to_ready:.2f} s")


def test_the_files_belong_to_the_service_alone(machine):
    modes = machine.run("stat -c '%U %a' /var/lib/triage /var/lib/triage/triage.db").splitlines()
    machine.run("useradd --system --no-create-home passer-by")

    assert modes == ["triage 700", "triage 600"]
    assert machine.run("sudo -u passer-by ls /var/lib/triage || echo refused").strip() == "refused"
    said = machine.run("sudo -u passer-by triage worklist 2>&1", check=False)
    assert "triage: /etc/triage/triage.toml: cannot be read (Permission denied)" in said


def test_the_rating_of_the_running_unit_is_good(machine):
    machine.run(
        "systemd-analyze verify triage.service && systemd-analyze security --threshold=20 triage"
    )


def test_kill_9_costs_nothing(machine, report_figure):
    before = machine.main_pid
    machine.send()
    machine.run(f"kill -9 {before}")

    seconds = eventually(
        lambda: machine.main_pid not in (0, before) and machine.known("ActiveState") == "active",
        within=30,
    )
    scored = eventually(lambda: all_scored(machine), within=90)
    report_figure(f"active {seconds:.2f} s after kill -9, all scored {scored:.1f} s later")
    assert sum(row["views"] for row in machine.worklist()) == len(images(machine))


def images(machine: Machine) -> list[str]:
    return machine.run("ls *.dcm").split()


def test_a_killed_scorer_leaves_the_receiver_up(machine):
    daemon, scorer = machine.main_pid, machine.scorer_pid
    machine.run("sudo -u triage triage rescore --all")
    machine.run(f"kill -9 {scorer}")

    machine.run(f"echoscu -aec TRIAGE 127.0.0.1 {machine.port}")
    eventually(lambda: machine.scorer_pid not in (0, scorer), within=30)
    eventually(lambda: all_scored(machine), within=90)
    assert machine.main_pid == daemon


def test_a_stop_in_the_middle_of_sending_loses_nothing_that_was_acknowledged(
    machine, report_figure
):
    many = " ".join(["*.dcm"] * 20)
    sender = machine.start(
        f"storescu --verbose {NEW_STUDIES} -aec TRIAGE 127.0.0.1 {machine.port} {many}"
    )
    count = "sudo -u triage sqlite3 /var/lib/triage/triage.db 'SELECT count(*) FROM instance'"
    before = int(machine.run(count))
    eventually(lambda: int(machine.run(count)) > before + 5, within=30, every=0.05)
    started = time.monotonic()
    machine.run("systemctl stop triage")
    stopped = time.monotonic() - started
    said, _ = sender.communicate(timeout=60)

    acknowledged = said.count("Received Store Response (Success)")
    report_figure(f"stopped in {stopped:.1f} s, {acknowledged} acknowledged")
    assert sender.returncode != 0, "the sender was not interrupted"
    assert machine.known("Result") == "success"
    assert before < int(machine.run(count))
    kept = {row[:64] for row in machine.run(count.replace("count(*)", "digest")).split()}
    spooled = machine.run("find /var/lib/triage/spool -name '*.dcm' -printf '%f\\n'")
    assert kept <= {name.removesuffix(".dcm") for name in spooled.split()}
    # The sender may have missed the last answer, never the other way round.
    assert int(machine.run(count)) - before in (acknowledged, acknowledged + 1)
    machine.run("systemctl start triage")
    eventually(lambda: all_scored(machine), within=300)


def test_without_a_model_the_service_stays_up_and_explains(machine):
    model = "/var/lib/triage/model.safetensors"
    machine.run(f"mv {model} {model}.away && systemctl restart triage")
    daemon = machine.main_pid
    machine.send(f"{NEW_STUDIES} IMAGE.dcm")

    time.sleep(WATCHDOG + 15)

    assert (machine.main_pid, machine.known("NRestarts")) == (daemon, "0")
    assert any((row["reason"] or "").startswith("no_model: ") for row in machine.worklist())
    assert "no model" in machine.known("StatusText")
    machine.run(f"mv {model}.away {model}")
    eventually(lambda: all_scored(machine), within=60)
    assert machine.main_pid == daemon


def test_the_watchdog_replaces_a_daemon_that_hangs(machine, report_figure):
    before = machine.main_pid
    since = machine.now()
    machine.run(f"kill -STOP {before}")

    seconds = eventually(
        lambda: machine.main_pid not in (0, before) and machine.known("ActiveState") == "active",
        within=WATCHDOG + 40,
        every=1,
    )
    report_figure(f"replaced {seconds:.1f} s after SIGSTOP")
    log = machine.run(f"journalctl -u triage -o cat --since '{since}'")
    assert "Watchdog timeout" in log
    assert "Current thread" in log or "Thread 0x" in log  # where it hung
    machine.run(f"echoscu -aec TRIAGE 127.0.0.1 {machine.port}")


def test_a_mistake_in_the_settings_fails_at_once_and_says_what_it_is(machine):
    settings = "/etc/triage/triage.toml"
    machine.run(f"cp -p {settings} {settings}.good && echo 'colour = 1' >> {settings}")
    since = machine.now()
    machine.run("systemctl restart triage", check=False)

    time.sleep(5)

    assert machine.known("ActiveState") == "failed"
    assert machine.known("NRestarts") == "0"
    assert "colour" in machine.run(f"journalctl -u triage -o cat --since '{since}'")
    machine.run(f"mv {settings}.good {settings} && systemctl restart triage")


def test_port_104_works_with_the_drop_in(machine):
    folder = "/etc/systemd/system/triage.service.d"
    # Whoever tests may have something on 104: any free port below 1024 will do.
    port = next(port for port in range(104, 1024) if not in_use(port))
    lines = drop_in("Port 104.") + f"Environment=TRIAGE_DICOM__PORT={port}\n"
    machine.run(f"mkdir -p {folder} && cat > {folder}/port.conf <<'END'\n{lines}END")
    machine.run("systemctl daemon-reload && systemctl restart triage")

    machine.run(f"echoscu -aec TRIAGE 127.0.0.1 {port}")
    machine.run(f"rm -r {folder} && systemctl daemon-reload && systemctl restart triage")


def in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_images_on_another_disk_work_with_the_drop_in(machine):
    folder = "/etc/systemd/system/triage.service.d"
    lines = drop_in("The images on another disk.")
    lines += "Environment=TRIAGE_SPOOL__DIRECTORY=/srv/triage/spool TRIAGE_DATABASE__URL=sqlite:////srv/triage/other.db\n"
    machine.run("install -d -m 0700 -o triage -g triage /srv/triage")
    machine.run(f"mkdir -p {folder} && cat > {folder}/disk.conf <<'END'\n{lines}END")
    machine.run("systemctl daemon-reload && systemctl restart triage")

    machine.send("IMAGE.dcm")

    assert machine.run("find /srv/triage/spool -name '*.dcm'").strip()
    machine.run(f"rm -r {folder} && systemctl daemon-reload && systemctl restart triage")


def test_a_backup_brings_the_worklist_back(machine):
    back_up, restore = blocks_of(OPERATIONS, "Backup")[:2]
    studies = [row["study_instance_uid"] for row in machine.worklist()]

    machine.run(back_up)
    machine.run("systemctl stop triage; rm -r /var/lib/triage/spool /var/lib/triage/triage.db*")
    machine.run(restore)

    assert [row["study_instance_uid"] for row in machine.worklist()] == studies
    machine.run("sudo -u triage triage rescore --all")
    eventually(lambda: all_scored(machine), within=120)


def test_postgresql_takes_over_by_the_guide_and_may_come_up_later(machine, report_figure):
    machine.follow("PostgreSQL instead of SQLite")
    machine.send()
    eventually(lambda: all_scored(machine), within=90)
    worklist = 'sudo -u reading psql triage -c "SELECT count(*) FROM worklist" -At'
    machine.run(f"useradd --system reading; cd /; {worklist}")

    machine.run("systemctl stop postgresql")
    refused = machine.run(
        f"storescu --verbose {NEW_STUDIES} -aec TRIAGE 127.0.0.1 {machine.port} IMAGE.dcm 2>&1",
        check=False,
    )
    assert "Received Store Response (Success)" not in refused
    assert machine.known("ActiveState") == "active"

    machine.run("systemctl restart --no-block triage")
    eventually(lambda: int(machine.known("NRestarts")) >= 5, within=90)
    started = time.monotonic()
    machine.run("systemctl start postgresql")
    eventually(lambda: machine.known("ActiveState") == "active", within=60)
    report_figure(f"up {time.monotonic() - started:.1f} s after its database was started")
    machine.send(f"{NEW_STUDIES} IMAGE.dcm")
    eventually(lambda: all_scored(machine), within=60)


def test_the_guide_upgrades_and_uninstalls(machine):
    machine.follow("Upgrade")
    assert machine.known("ActiveState") == "active"

    machine.follow("Uninstall")

    left = machine.run(
        "ls -d /opt/triage /etc/triage /var/lib/triage 2>/dev/null; id triage", check=False
    )
    assert not left.strip()
