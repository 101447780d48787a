import copy
from contextlib import closing

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support.models import EXACT
from tests.support.mura import Listed, make_dataset
from tests.support.training import HAND, WRIST, little_set, prepared
from triage.errors import TrainingFailed, TrainingInterrupted, UsageError
from triage.model import checkpoint
from triage.model.card import read_card
from triage.model.preprocess import read_picture
from triage.model.scorer import Scorer
from triage.research import images
from triage.research.mura import read_dataset
from triage.research.plan import Pace
from triage.research.processes import Processes
from triage.research.train import Epoch, Step, train

ALONE = Processes()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return little_set(tmp_path_factory.mktemp("little") / "set")


def events_of(run, stop=lambda: False):
    return list(train(run, ALONE, stop))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_training_does_what_a_plain_loop_does(root, tmp_path):
    """The loop with torch's own loss and nothing of ours but the images and their order."""
    little = {"epochs": 1, "image_size": 64, "optimiser": "sgd", "learning_rate": 0.001}
    run = prepared(root, tmp_path / "m.safetensors", **little)
    network = checkpoint.build(
        run.card.architecture, copy.deepcopy(run.state.network), run.out
    ).train()
    # The same kernels: so few images make the smallest rounding grow from layer to layer.
    network = network.to(memory_format=torch.channels_last)
    torch.set_num_threads(1)
    before = run.state.network["classifier.weight"].clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    weight = {(HAND, 1): 5 / 7, (HAND, 0): 2 / 7, (WRIST, 1): 2 / 6, (WRIST, 0): 4 / 6}
    order = images.order(run.train, run.recipe, 0)
    losses = []
    for start in range(0, 12, 4):
        batch = [run.train[place] for place in order[start : start + 4]]
        pixels = [images.varied(s, run.recipe, 0, start + n) for n, s in enumerate(batch)]
        inputs = torch.from_numpy(np.stack(pixels)).to(memory_format=torch.channels_last)
        labels = torch.tensor([float(sample.abnormal) for sample in batch])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            network(inputs)[:, 0],
            labels,
            torch.tensor([weight[s.study_type, int(s.abnormal)] for s in batch]),
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))

    events = events_of(run)

    assert [e.loss for e in events if isinstance(e, Step)] == pytest.approx(losses, rel=1e-3)
    trained = load_file(tmp_path / "m.safetensors")["classifier.weight"]
    moved = network.state_dict()["classifier.weight"] - before
    assert (trained - before - moved).norm() < 0.1 * moved.norm()


@pytest.mark.soak  # one that is killed goes on in tests/cli/test_train_command.py
def test_a_run_that_ended_anywhere_goes_on_to_the_same_mean_of_its_epochs(root, tmp_path):
    options = {"mean_last": 2, "keep": "last"}
    undisturbed = prepared(root, tmp_path / "whole.safetensors", **options)
    whole, ends = [], []
    for event in train(undisturbed, ALONE, lambda: False):
        whole.append(event)
        if isinstance(event, Epoch):
            ends.append(copy.deepcopy(undisturbed.state.network))
    cut = tmp_path / "cut.safetensors"
    seen = []
    # After 2 of 3 steps; before the validation of epoch 1; in epoch 2; each time from the disk.
    for ends_after in (2, 1, 2):
        run = prepared(root, cut, pace=Pace(save_every=0, workers=2), **options)
        with closing(train(run, ALONE, lambda: False)) as events:
            # zip takes one event more; what it was of had not been written down yet.
            seen += [event for event, _ in zip(events, range(ends_after), strict=False)]
    seen += events_of(prepared(root, cut, pace=Pace(workers=1), **options))

    assert equal(load_file(cut), load_file(tmp_path / "whole.safetensors"))
    for name, tensor in load_file(cut).items():
        torch.testing.assert_close(tensor, (ends[0][name] + ends[1][name]) / 2)
    assert [(e.epoch, e.step, e.loss) for e in seen if isinstance(e, Step)] == [
        (e.epoch, e.step, e.loss) for e in whole if isinstance(e, Step)
    ]
    assert [e for e in seen if isinstance(e, Epoch)][-1] == whole[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cut.safetensors",
        "whole.safetensors",
    ]


@pytest.mark.soak  # the one above tries it with the recipe that has the most to remember
def test_a_run_can_be_interrupted_whatever_its_recipe(root, tmp_path):
    options = {"ema": 0.9, "optimiser": "adamw", "weight_decay": 0.1, "schedule": "cosine"}
    options |= {"warmup": 1, "freeze": 1, "balanced": True, "crop": 0.8, "label_smoothing": 0.1}
    options |= {"precision": "bfloat16", "resize": "pad", "keep": "last"}
    events_of(prepared(root, tmp_path / "whole.safetensors", **options))
    cut = tmp_path / "cut.safetensors"
    wishes = iter([False] * 4 + [True])  # three steps, a validation, a step
    with pytest.raises(TrainingInterrupted, match=r"after step 1 of epoch 2; the same command"):
        events_of(prepared(root, cut, **options), stop=lambda: next(wishes))
    run = prepared(root, cut, **options)
    assert (run.resumed, run.state.epoch, run.state.step) == (True, 1, 1)

    events_of(run)

    assert equal(load_file(cut), load_file(tmp_path / "whole.safetensors"))


def test_the_checkpoint_is_that_of_the_best_validation_loss(root, tmp_path):
    run = prepared(root, tmp_path / "m.safetensors", learning_rate=0.001)

    epochs = [event for event in events_of(run) if isinstance(event, Epoch)]

    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    figures = read_card(tmp_path / "m.safetensors").figures
    assert figures["epoch"] == best.epoch
    assert figures["validation loss"] == best.validation_loss
    assert [e.kept for e in epochs] == [
        e.validation_loss < min([f.validation_loss for f in epochs[:n]], default=np.inf)
        for n, e in enumerate(epochs)
    ]


def test_the_figures_are_those_of_the_network_that_is_served(root, tmp_path):
    events = events_of(prepared(root, tmp_path / "m.safetensors", epochs=1))

    scorer = Scorer(tmp_path / "m.safetensors", **EXACT, threads=1)
    studies = read_dataset(root).split("valid").studies
    scores = [scorer.score([scorer.prepare(read_picture(s.images[0]))])[0] for s in studies]
    truth = [study.abnormal for study in studies]
    pairs = [
        (a, n)
        for a, t in zip(scores, truth, strict=True)
        if t
        for n, u in zip(scores, truth, strict=True)
        if not u
    ]
    # Of hands there are 5 normal and 2 abnormal to learn from.
    losses = [
        -5 / 7 * np.log(p) if t else -2 / 7 * np.log(1 - p)
        for p, t in zip(scores, truth, strict=True)
    ]
    assert events[-1].auroc == pytest.approx(np.mean([a > n for a, n in pairs]))
    assert events[-1].validation_loss == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_card_says_how_the_network_was_made_and_what_it_may_be_used_for(root, tmp_path):
    events_of(prepared(root, tmp_path / "m.safetensors", epochs=1, resize="pad"))

    card = read_card(tmp_path / "m.safetensors")

    assert (card.identity, card.licence) == ("little 1", "CC0")
    assert (card.preprocessing.size, card.preprocessing.resize) == (32, "pad")
    assert card.accepted == (HAND, WRIST)
    assert card.measured == (HAND,)
    assert card.recipe["optimiser"] == "adam"
    assert card.recipe["init"] == "none"
    assert card.recipe["flip"] is True
    assert (card.recipe["batch"], card.recipe["rotate"]) == (4, 30.0)
    assert "set: train, 13 images of 12 studies (normal+abnormal: hand 5+2, wrist 2+4)" in (
        card.training_data
    )
    assert images.digest(*read_dataset(root).splits) in card.training_data


def test_only_the_last_layer_learns_while_the_rest_is_frozen(root, tmp_path):
    run = prepared(root, tmp_path / "m.safetensors", epochs=1, freeze=1)
    before = copy.deepcopy(run.state.network)

    events_of(run)

    after = load_file(tmp_path / "m.safetensors")
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_a_loss_that_is_no_number_ends_with_the_last_good_checkpoint(root, tmp_path):
    # The last layer alone survives such a rate, and the network behind it does not.
    run = prepared(root, tmp_path / "m.safetensors", learning_rate=1e20, freeze=1)

    with pytest.raises(
        TrainingFailed, match=r"epoch 2, step [123]: the .*loss is not a finite number"
    ) as e:
        events_of(run)

    assert "--learning-rate" in str(e.value)
    assert f"{run.out} holds the network of epoch 1" in str(e.value)
    Scorer(run.out, **EXACT, threads=1)


def test_a_loss_that_is_no_number_in_the_first_epoch_says_that_there_is_no_checkpoint(
    root, tmp_path
):
    run = prepared(root, tmp_path / "m.safetensors", learning_rate=1e30)

    with pytest.raises(TrainingFailed, match=r"epoch 1, step 2.*there is no .*m\.safetensors yet"):
        events_of(run)


def test_an_image_that_goes_bad_under_way_is_named_and_the_run_goes_on_when_it_is_mended(tmp_path):
    root, out = little_set(tmp_path / "set"), tmp_path / "m.safetensors"
    run = prepared(root, out)
    sample = run.train[images.order(run.train, run.recipe, 1)[5]]
    whole = sample.path.read_bytes()
    events = train(run, ALONE, lambda: False)
    for event in events:
        if isinstance(event, Epoch):  # as many bytes, for the list of files is to be the same
            sample.path.write_bytes(whole[:99] + bytes(len(whole) - 99))
            break
    with pytest.raises(TrainingFailed) as e:
        list(events)

    assert str(sample.path) in str(e.value)
    assert f"{out} holds the network of epoch 1" in str(e.value)
    sample.path.write_bytes(whole)
    events_of(prepared(root, out))
    assert not run.state_file.exists()


@pytest.fixture
def damaged(tmp_path):
    """A set two of whose images are cut off."""
    root = little_set(tmp_path / "set")
    paths = [s.images[0] for s in read_dataset(root).split("train").studies[:2]]
    for path in paths:
        path.write_bytes(path.read_bytes()[:200])
    return root, paths


def test_unreadable_images_are_counted_and_named_before_the_first_step(damaged, tmp_path):
    root, paths = damaged

    with pytest.raises(TrainingFailed, match=r"2 of 18 images.*--skip-unreadable") as e:
        prepared(root, tmp_path / "m.safetensors")

    assert all(str(path) in str(e.value) for path in paths)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_unreadable_images_can_be_left_out_and_the_card_says_so(damaged, tmp_path):
    root, _ = damaged

    run = prepared(root, tmp_path / "m.safetensors", skip_unreadable=True)

    assert len(run.train) == 11
    assert "11 images of 10 studies" in run.card.training_data
    assert "2 unreadable images left out" in run.card.training_data
    again = prepared(root, tmp_path / "m.safetensors", skip_unreadable=True)
    assert (again.resumed, again.train) == (True, run.train)


def test_another_recipe_or_other_images_are_refused_until_the_run_is_begun_anew(tmp_path):
    root, out = little_set(tmp_path / "set"), tmp_path / "m.safetensors"
    prepared(root, out)
    (root / "valid_labeled_studies.csv").write_text(
        "".join((root / "valid_labeled_studies.csv").read_text().splitlines(keepends=True)[1:])
    )
    (root / "valid_image_paths.csv").write_text(
        "".join((root / "valid_image_paths.csv").read_text().splitlines(keepends=True)[1:])
    )

    with pytest.raises(UsageError, match=r"batch 4 \(now 6\), the list of files .*--restart"):
        prepared(root, out, batch=6)

    assert not prepared(root, out, batch=6, restart=True).resumed


def test_what_changes_the_last_digits_alone_is_told_and_not_refused(root, tmp_path):
    prepared(root, tmp_path / "m.safetensors", pace=Pace(threads=2))

    run = prepared(root, tmp_path / "m.safetensors", pace=Pace(threads=1, workers=5))

    assert run.resumed
    assert run.changed == ("threads 2 (now 1)",)


def test_a_finished_checkpoint_is_not_overwritten_unasked(root, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"mine")

    with pytest.raises(UsageError, match=r"exists already.*--restart"):
        prepared(root, tmp_path / "m.safetensors")

    assert not prepared(root, tmp_path / "m.safetensors", restart=True).resumed


@pytest.mark.parametrize(
    ("studies", "options", "said"),
    [
        (
            [Listed(patient=1), Listed(patient=2, split="valid")],
            {},
            "1 images, fewer than --batch 4",
        ),
        (
            [*(Listed(patient=n) for n in range(1, 6)), Listed(patient=9, split="valid")],
            {},
            "the same label",
        ),
    ],
)
def test_a_set_that_nothing_can_be_learnt_from_is_refused(studies, options, said, tmp_path):
    root = make_dataset(tmp_path / "set", studies)

    with pytest.raises((TrainingFailed, UsageError), match=said):
        prepared(root, tmp_path / "m.safetensors", **options)


@pytest.mark.parametrize("size", [3, 4])
def test_a_batch_that_the_processes_cannot_share_is_refused(root, tmp_path, size):
    with pytest.raises(UsageError, match=f"--batch 4 cannot be shared by {size} processes"):
        prepared(root, tmp_path / "m.safetensors", processes=Processes(size=size))
