import json
import os
import signal
import sys
import textwrap
import threading
import time

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support import training
from tests.support.training import HAND, WRIST
from triage import cli
from triage.model import checkpoint
from triage.model.card import read_card
from triage.research import images, resume
from triage.research.processes import Processes
from triage.research.train import train


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return training.little_set(tmp_path_factory.mktemp("little") / "set")


@pytest.fixture
def triage(monkeypatch, capsys):
    """Return a function that runs `triage train`: (exit code, standard output, standard error)."""

    def triage(*arguments):
        monkeypatch.setattr(sys, "argv", ["triage", "train", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return triage


def equal(one, other):
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_a_run_is_shown_kept_logged_and_gives_a_checkpoint_that_scores(triage, root, tmp_path):
    out = tmp_path / "m.safetensors"

    code, shown, said = triage(
        root, "--out", out, *training.OPTIONS, "--log", tmp_path / "log", "--json",
        "--threads", 1, "--name", "mine", "--version", "2", "--licence", "CC BY 4.0",
        "--accepts", "hand", "--weight-decay", "0.01", "--no-flip",
    )  # fmt: skip

    document = json.loads(shown)
    assert code == 0
    assert document["path"] == str(out)
    assert [epoch["epoch"] for epoch in document["epochs"]] == [1, 2]
    kept = document["epochs"][document["kept"] - 1]
    assert "epoch 2/2: training loss" in said
    assert f"AUROC {kept['auroc']:.3f}" in said
    assert "images/s" in said

    card = read_card(out)
    assert (card.identity, card.licence, card.accepted) == ("mine 2", "CC BY 4.0", (HAND,))
    assert card.figures["validation AUROC"] == kept["auroc"]
    assert (card.recipe["weight-decay"], card.recipe["flip"]) == (0.01, False)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]
    assert triage(root, "--out", out, *training.OPTIONS)[0] == 2  # it exists

    log = EventAccumulator(str(tmp_path / "log")).Reload()
    scalars = {tag: log.Scalars(tag) for tag in log.Tags()["scalars"]}
    assert [event.step for event in scalars["train/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in scalars["valid/loss"]] == [3, 6]
    for tag, field in [
        ("valid/loss", "validation_loss"), ("valid/auroc", "auroc"), ("valid/kappa", "kappa"),
    ]:  # fmt: skip
        logged = [event.value for event in scalars.get(tag, [])]
        measured = [e[field] for e in document["epochs"] if e[field] is not None]
        assert logged == pytest.approx(measured, abs=1e-6)
    assert scalars["train/learning_rate"][0].value == pytest.approx(1e-4)
    assert all(event.value > 0 for event in scalars["train/images_per_second"])


def test_a_killed_run_goes_on_with_the_same_command_to_the_same_weights(root, tmp_path):
    options = ("--epochs=1", "--keep=last", "--save-every=0")
    out, log = tmp_path / "cut.safetensors", tmp_path / "log"
    command = training.command(root, out, *options, f"--log={log}")
    with training.started(command) as killed:
        training.until(out, 0, 1)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()

    code, _, said = training.run(command)

    assert (killed.returncode, code) == (-signal.SIGKILL, 0)
    assert "going on from" in said
    whole = training.prepared(root, tmp_path / "whole.safetensors", keep="last", epochs=1)
    list(train(whole, Processes(), lambda: False))
    assert equal(out, tmp_path / "whole.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "cut.safetensors", "whole.safetensors",
    ]  # fmt: skip
    events = EventAccumulator(str(log)).Reload().Scalars("train/loss")
    assert [event.step for event in events] == [1, 2, 3]  # none twice


def test_ctrl_c_ends_between_two_steps_and_says_how_to_go_on(triage, root, tmp_path):
    out = tmp_path / "m.safetensors"

    def interrupt():
        training.until(out, 0, 1)
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    code, shown, said = triage(
        root, "--out", out, *training.OPTIONS, "--epochs=500", "--save-every=0", "--threads=1"
    )
    person.join()

    assert (code, shown) == (130, "")
    assert "the same command goes on" in said
    assert resume.load(resume.place_of(out)).optimiser is not None


def test_other_options_are_refused_and_named(triage, root, tmp_path):
    out = tmp_path / "m.safetensors"
    training.prepared(root, out)

    code, _, said = triage(root, "--out", out, *training.OPTIONS, "--batch=6", "--name=little")

    assert code == 2
    assert "batch 4 (now 6)" in said
    assert "--restart" in said


def test_without_imagenets_weights_the_default_ends_at_once_and_names_init(
    triage, root, tmp_path, monkeypatch, free_port
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")

    code, shown, said = triage(root, "--out", tmp_path / "m.safetensors")

    assert (code, shown) == (1, "")
    assert "--init" in said
    assert not list(tmp_path.glob("m.safetensors*"))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--optimiser=lion", "optimiser"),
        ("--batch=1", "batch"),
        ("--device=tpu", "--device tpu"),
        ("--accepts=skull", "--accepts skull"),
        ("--train-split=nonsense", "nonsense"),
        ("--init=absent.pt", "absent.pt"),
        ("--precision=float8", "precision"),
    ],
)
def test_a_wrong_option_is_named(triage, root, tmp_path, option, said):
    code, _, errors = triage(root, "--out", tmp_path / "m.safetensors", *training.OPTIONS, option)

    assert code == (1 if "init" in option else 2)
    assert said in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


def test_without_tensorboard_the_log_alone_cannot_be_had(triage, root, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    code, _, said = triage(
        root, "--out", tmp_path / "m.safetensors", *training.OPTIONS, "--log", tmp_path / "log"
    )

    assert code == 1
    assert f"{sys.executable} -m pip install 'tensorboard>=2.19'" in said


def test_out_of_memory_is_said_with_what_to_do(root, tmp_path):
    """In a process that may take half a GB more than it has."""
    program = textwrap.dedent("""
        import re, resource, sys
        import torch
        from triage import cli, research
        import triage.research.train
        held = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 29),) * 2)
        cli.main()
    """)
    options = ("--image-size=512", "--threads=1", "--workers=1")
    command = training.command(root, tmp_path / "m.safetensors", *options)

    code, _, said = training.run([sys.executable, "-c", program, *command[3:]])

    assert code == 1
    assert "epoch 1, step 1: out of memory with 4 images of 512 pixels" in said
    assert "--batch or --image-size" in said
    assert "Traceback" not in said
    assert (tmp_path / "m.safetensors.resume").exists()


@pytest.mark.soak
def test_two_processes_train_as_one_does_that_keeps_its_normalisation(root, tmp_path):
    """Frozen, BatchNorm has no statistics of a batch; the loss and the gradients must agree."""
    options = ("--freeze=2", "--optimiser=sgd", "--learning-rate=0.1", "--keep=last", "--json")
    both, one = tmp_path / "both.safetensors", tmp_path / "one.safetensors"

    code, shown, said = training.run(
        training.torchrun(root, both, *options), GLOO_SOCKET_IFNAME="lo"
    )
    alone, shown_alone, _ = training.run(training.command(root, one, *options))

    assert (code, alone) == (0, 0), said
    together, single = json.loads(shown), json.loads(shown_alone)  # one document, of one process
    for former, latter in zip(together["epochs"], single["epochs"], strict=True):
        for name in ("training_loss", "validation_loss"):
            assert former[name] == pytest.approx(latter[name], rel=1e-5)
    for name, tensor in load_file(both).items():
        torch.testing.assert_close(tensor, load_file(one)[name], rtol=1e-4, atol=1e-6)
    assert not list(tmp_path.glob("*.resume"))


def test_two_processes_average_gradients_and_normalise_by_their_own_images(root, tmp_path):
    """One step: a second one would begin from the first one's rounding, many layers deep."""
    out = tmp_path / "m.safetensors"
    recipe = {"epochs": 1, "batch": 12, "image_size": 64, "optimiser": "sgd", "learning_rate": 1e-3}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in recipe.items()]
    options += ["--rotate=0", "--no-flip", "--json", f"--tensorboard={tmp_path / 'log'}"]

    code, shown, said = training.run(
        training.torchrun(root, out, *options), GLOO_SOCKET_IFNAME="lo"
    )

    assert code == 0, said
    assert json.loads(shown)["kept"] == 1  # one document, of one process
    assert len(list((tmp_path / "log").iterdir())) == 1
    run = training.prepared(root, tmp_path / "x.safetensors", rotate=0, flip=False, **recipe)
    before = {name: tensor.clone() for name, tensor in run.state.network.items()}
    expected = by_halves(run)
    for name, tensor in load_file(out).items():
        moved, wanted = tensor - before[name], expected[name] - before[name]
        tolerance = 1e-3 if name.startswith(("classifier", "features.norm5")) else 0.05
        rounding = 2e-7 * before[name].norm()  # of float32, where the step is as small as that
        assert (moved - wanted).norm() <= tolerance * wanted.norm() + rounding, name


def by_halves(run):
    """Train a plain network, each half of a batch by itself and the gradients averaged."""
    network = checkpoint.build(run.card.architecture, run.state.network, run.out).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    weight = {(HAND, 1): 5 / 7, (HAND, 0): 2 / 7, (WRIST, 1): 2 / 6, (WRIST, 0): 4 / 6}
    order = images.order(run.train, run.recipe, 0)
    each = run.recipe.batch // 2
    for start in range(0, len(order), run.recipe.batch):
        optimiser.zero_grad()
        before = {name: buffer.clone() for name, buffer in network.named_buffers()}
        moved = []
        for half in (0, each):
            for name, buffer in network.named_buffers():
                buffer.copy_(before[name])
            batch = [run.train[place] for place in order[start + half : start + half + each]]
            pixels = torch.stack(
                [torch.from_numpy(images.plain(sample, run.recipe)) for sample in batch]
            )
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                network(pixels)[:, 0],
                torch.tensor([float(sample.abnormal) for sample in batch]),
                torch.tensor([weight[s.study_type, int(s.abnormal)] for s in batch]),
            )
            (loss / 2).backward()
            moved.append({name: buffer.clone() for name, buffer in network.named_buffers()})
        for name, buffer in network.named_buffers():
            buffer.copy_((moved[0][name] + moved[1][name]) / 2)
        optimiser.step()
    return network.state_dict()


@pytest.mark.soak
@pytest.mark.fracatlas
def test_a_part_of_fracatlas_with_the_papers_defaults_killed_and_resumed(
    fracatlas, tmp_path, report_figure
):
    """Two epochs of 96 radiographs, killed in each of them and in between."""
    root = part_of(fracatlas / "FracAtlas-MURA", tmp_path / "part", train=96, valid=32)
    options = (
        "--init=none",
        "--epochs=2",
        "--keep=last",
        "--threads=2",
        "--name=x",
        "--device=cpu",
    )
    whole, out = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    begun = time.monotonic()
    assert training.run(training.command(root, whole, *options, little=False))[0] == 0
    undisturbed = time.monotonic() - begun

    command = training.command(root, out, *options, "--save-every=5", little=False)
    for epoch, step in ((0, 3), (0, 9), (1, 4)):
        with training.started(command) as running:
            training.until(out, epoch, step, seconds=1200)
            time.sleep(2.5)  # between two writings of the state
            os.kill(running.pid, signal.SIGKILL)
            running.communicate()
    code, shown, said = training.run(command)

    assert code == 0, said
    assert equal(whole, out)
    report_figure(f"train: 2 epochs of 96 images at 224 pixels in {undisturbed:.0f} s")
    report_figure(f"train: the same weights after three kills:\n{shown}")


def part_of(source, folder, **counts):
    """Make a data set of the first studies of another."""
    folder.mkdir()
    for name, count in counts.items():
        (folder / name).symlink_to(source / name)
        for ending in ("image_paths", "labeled_studies"):
            lines = (source / f"{name}_{ending}.csv").read_text().splitlines(keepends=True)
            (folder / f"{name}_{ending}.csv").write_text("".join(lines[:count]))
    return folder


def test_what_cannot_be_written_is_refused_before_anything_is_learnt(triage, root, tmp_path):
    (tmp_path / "file").write_text("precious")

    onto_a_folder = triage(root, "--out", tmp_path, *training.OPTIONS)
    log_is_a_file = triage(
        root, "--out", tmp_path / "m.safetensors", *training.OPTIONS, "--log", tmp_path / "file"
    )

    assert onto_a_folder[::2] == (2, f"triage: --out {tmp_path}: is a folder; name a file in it\n")
    assert log_is_a_file[0] == 2
    assert "name a folder for TensorBoard" in log_is_a_file[2]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_second_run_on_the_same_file_is_refused(triage, root, tmp_path):
    out = tmp_path / "m.safetensors"

    with resume.alone(resume.place_of(out)):
        code, _, said = triage(root, "--out", out, *training.OPTIONS)

    assert code == 1
    assert "another run is writing it" in said
    assert list(tmp_path.iterdir()) == []
    assert triage(root, "--out", out, *training.OPTIONS)[0] == 0


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE=x: is no number"),
        ({"WORLD_SIZE": "2"}, "start with torchrun"),
    ],
)
def test_half_an_announcement_of_several_processes_is_refused(
    triage, root, tmp_path, monkeypatch, variables, says
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    code, _, said = triage(root, "--out", tmp_path / "m.safetensors", *training.OPTIONS)

    assert code == 2
    assert says in said


def test_weights_that_cannot_be_had_end_the_run_before_the_images_are_read(
    triage, tmp_path, monkeypatch, free_port
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    root = training.little_set(tmp_path / "set")
    next(root.glob("train/*/*/*/image1.png")).write_bytes(b"damaged")

    code, _, said = triage(root, "--out", tmp_path / "m.safetensors")

    assert code == 1
    assert "--init FILE" in said
    assert "cannot be read" not in said
