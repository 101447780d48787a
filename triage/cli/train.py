"""`triage train`: a network from a data set in MURA's layout."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.models import study_types
from triage.cli.output import JsonOption
from triage.cli.progress import counting
from triage.cli.targets import check_target
from triage.cli.training import Display, report, stoppable
from triage.errors import UsageError
from triage.research.recipe import Recipe, recipe_from

if TYPE_CHECKING:
    from triage.research.plan import Run, Wish
    from triage.research.processes import Processes

PAPER = Recipe()
OWNER_DECIDES = "not stated; the owner of the training data decides"

LEARNING = "Learning"
IMAGES = "Images"
WEIGHTS = "Weights"
MACHINE = "This machine"
CARD = "The card"


def train(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with the *_image_paths.csv in it.")
    ],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.", metavar="FILE")],
    train_split: Annotated[str, typer.Option(help="The split to learn from.")] = "train",
    valid_split: Annotated[str, typer.Option(help="The split to validate on.")] = "valid",
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, over a former run and its FILE.")
    ] = False,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Go without images that cannot be read.")
    ] = False,
    log: Annotated[
        Path | None,
        # torchrun takes --log for one of its own options, wherever it stands.
        typer.Option("--log", "--tensorboard", help="Write a log for TensorBoard.", metavar="DIR"),
    ] = None,
    epochs: Annotated[int, typer.Option(rich_help_panel=LEARNING)] = PAPER.epochs,
    batch: Annotated[
        int, typer.Option(help="Images a step, all processes together.", rich_help_panel=LEARNING)
    ] = PAPER.batch,
    seed: Annotated[
        int, typer.Option(help="Of all that is random.", rich_help_panel=LEARNING)
    ] = PAPER.seed,
    optimiser: Annotated[
        str, typer.Option(help="adam, adamw or sgd.", rich_help_panel=LEARNING)
    ] = PAPER.optimiser,
    learning_rate: Annotated[float, typer.Option(rich_help_panel=LEARNING)] = PAPER.learning_rate,
    weight_decay: Annotated[float, typer.Option(rich_help_panel=LEARNING)] = PAPER.weight_decay,
    schedule: Annotated[
        str,
        typer.Option(
            help="plateau: a tenth when the validation loss stops falling; cosine: down to 0.",
            rich_help_panel=LEARNING,
        ),
    ] = PAPER.schedule,
    patience: Annotated[
        int,
        typer.Option(
            help="Epochs without a better loss that make a plateau.", rich_help_panel=LEARNING
        ),
    ] = PAPER.patience,
    warmup: Annotated[
        int,
        typer.Option(
            help="Epochs in which the learning rate rises from 0.", rich_help_panel=LEARNING
        ),
    ] = PAPER.warmup,
    label_smoothing: Annotated[
        float, typer.Option(help="s: learn s/2 and 1 - s/2.", rich_help_panel=LEARNING)
    ] = PAPER.label_smoothing,
    image_size: Annotated[
        int, typer.Option(help="Pixels, height and width.", rich_help_panel=IMAGES)
    ] = PAPER.image_size,
    resize: Annotated[
        str, typer.Option(help="squeeze or pad to the square.", rich_help_panel=IMAGES)
    ] = PAPER.resize,
    flip: Annotated[
        bool, typer.Option(help="Mirror every second image.", rich_help_panel=IMAGES)
    ] = PAPER.flip,
    rotate: Annotated[
        float, typer.Option(help="Degrees that an image is turned.", rich_help_panel=IMAGES)
    ] = PAPER.rotate,
    crop: Annotated[
        float, typer.Option(help="Least part of each side that is kept.", rich_help_panel=IMAGES)
    ] = PAPER.crop,
    balanced: Annotated[
        bool,
        typer.Option(
            "--balanced/--as-they-are",
            help="Draw normal and abnormal images of a study type equally often.",
            rich_help_panel=IMAGES,
        ),
    ] = PAPER.balanced,
    init: Annotated[
        str,
        typer.Option(
            help="imagenet, none, or a file with the weights of a DenseNet-169.",
            rich_help_panel=WEIGHTS,
        ),
    ] = PAPER.init,
    freeze: Annotated[
        int,
        typer.Option(help="Epochs in which only the last layer learns.", rich_help_panel=WEIGHTS),
    ] = PAPER.freeze,
    ema: Annotated[
        float,
        typer.Option(
            help="Keep the moving average of the weights with this decay; 0.999.",
            rich_help_panel=WEIGHTS,
        ),
    ] = PAPER.ema,
    mean_last: Annotated[
        int,
        typer.Option(
            help="Keep the mean of the weights of so many last epochs.", rich_help_panel=WEIGHTS
        ),
    ] = PAPER.mean_last,
    keep: Annotated[
        str,
        typer.Option(
            help="The best epoch by validation loss, or the last.", rich_help_panel=WEIGHTS
        ),
    ] = PAPER.keep,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda.", rich_help_panel=MACHINE)
    ] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="float32, bfloat16 (mixed), or auto: bfloat16 on a GPU that has it.",
            rich_help_panel=MACHINE,
        ),
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Of torch; else all cores.", rich_help_panel=MACHINE, min=1)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Threads that read images; else all cores.", rich_help_panel=MACHINE, min=1
        ),
    ] = None,
    save_every: Annotated[
        float,
        typer.Option(
            help="Seconds between two writings of the state in FILE.resume.",
            rich_help_panel=MACHINE,
            min=0,
        ),
    ] = 60.0,
    name: Annotated[
        str | None, typer.Option(help="The model's; else FILE's.", rich_help_panel=CARD)
    ] = None,
    version: Annotated[str, typer.Option(help="The model's.", rich_help_panel=CARD)] = "1",
    licence: Annotated[
        str, typer.Option(help="The licence of the weights.", rich_help_panel=CARD)
    ] = OWNER_DECIDES,
    accepts: Annotated[
        str | None,
        typer.Option(help="Study types to score; else those learnt from.", rich_help_panel=CARD),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a DenseNet-169; by default as the MURA paper does.

    Killed or stopped, the same command goes on where it was. Several GPUs:
    torchrun --nproc-per-node N -m triage train ...
    """
    from triage.model.cores import usable_cores
    from triage.research import processes as together
    from triage.research.mura import read_dataset
    from triage.research.plan import Pace, Wish

    check_target("--out", out)
    if log and log.exists() and not log.is_dir():
        raise UsageError(f"--log {log}: is a file; name a folder for TensorBoard")
    processes = together.announced()
    place = together.device_for(device, processes)
    recipe = recipe_from(
        {
            "epochs": epochs,
            "batch": batch,
            "seed": seed,
            "optimiser": optimiser,
            "learning_rate": learning_rate,
            "weight_decay": weight_decay,
            "schedule": schedule,
            "patience": patience,
            "warmup": warmup,
            "label_smoothing": label_smoothing,
            "image_size": image_size,
            "resize": resize,
            "flip": flip,
            "rotate": rotate,
            "crop": crop,
            "balanced": balanced,
            "freeze": freeze,
            "ema": ema,
            "mean_last": mean_last,
            "keep": keep,
            "precision": together.precision_for(precision, place),
        }
    )
    cores = max(1, usable_cores() // processes.local_size)
    card: dict[str, Any] = {"name": name or out.stem, "version": version, "licence": licence}
    if accepts is not None:
        card["accepted"] = study_types("--accepts", accepts)
    wish = Wish(
        dataset=read_dataset(folder),
        train=train_split,
        valid=valid_split,
        out=out,
        init=init,
        recipe=recipe,
        pace=Pace(
            device=str(place),
            threads=threads or cores,
            workers=workers or cores,
            save_every=save_every,
        ),
        card=card,
        restart=restart,
        skip_unreadable=skip_unreadable,
    )
    with together.joined(processes, place), stoppable() as stop:
        history = _train(wish, processes, log, stop)
    if processes.leads:
        report(out, history, as_json=as_json)


def _train(
    wish: "Wish", processes: "Processes", log: Path | None, stop: Callable[[], bool]
) -> list[dict[str, float | None]]:
    """Train, show it and log it; return the figures of every epoch."""
    from triage.research import resume
    from triage.research.journal import Journal
    from triage.research.plan import prepare
    from triage.research.train import Step, train

    with ExitStack() as stack:
        if processes.leads:
            stack.enter_context(resume.alone(resume.place_of(wish.out)))
        with counting("images checked") as count:
            run = prepare(wish, processes, count.reached)
        if not processes.leads:
            for _ in train(run, processes, stop):
                pass
            return run.state.history
        steps = len(run.train) // run.recipe.batch
        done = run.state.epoch * steps + run.state.step
        journal = stack.enter_context(closing(Journal(log, done))) if log else None
        display = stack.enter_context(Display(run.recipe.epochs, steps, done))
        for sentence in _beginning(run):
            display.say(sentence)
        for event in stack.enter_context(closing(train(run, processes, stop))):
            if journal:
                journal.note(event)
            if isinstance(event, Step):
                display.step(event)
            else:
                display.epoch(event)
    return run.state.history


def _beginning(run: "Run") -> Iterator[str]:
    yield run.card.training_data
    if run.resumed:
        at = f"epoch {run.state.epoch + 1} after step {run.state.step}"
        yield f"going on from {run.state_file}: {at}"
    if run.changed:
        yield f"other than before: {', '.join(run.changed)}; the last digits will differ"
