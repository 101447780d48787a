"""A network measured on the validation part while it is being trained."""

from collections.abc import Callable, Generator
from contextlib import closing
from itertools import islice
from math import ceil
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from triage.core.agreement import confusion
from triage.errors import TrainingInterrupted
from triage.model.logistic import sigmoid
from triage.model.preprocess import Prepared
from triage.research import failures, images
from triage.research.loss import Weights, targets, weighted_loss
from triage.research.plan import Run
from triage.research.processes import Processes
from triage.research.statistics import auroc

BATCH = 16  # images in one pass, in each process
AHEAD = 4  # batches that are read before their turn

Logits = NDArray[np.float64]  # (N,), of the validation images in their order


def validate(
    network: nn.Module, run: Run, processes: Processes, stop: Callable[[], bool]
) -> Logits:
    """Return the logit of every validation image in float32, each process doing its part.

    Raises TrainingInterrupted as soon as *stop* says so in one of them.
    """
    device = torch.device(run.pace.device)
    count = len(run.valid)
    mine = range(processes.rank, count, processes.size)
    logits = torch.zeros(count, dtype=torch.float64, device=device)
    with torch.inference_mode(), closing(_read(run, mine)) as prepared:
        network.eval()
        # As many rounds in every process, for they exchange a word in each.
        for start in range(0, ceil(count / processes.size), BATCH):
            if places := list(mine[start : start + BATCH]):
                batch = torch.from_numpy(np.stack(list(islice(prepared, len(places)))))
                logits[places] = network(on(device, batch))[:, 0].double()
            if processes.sum(torch.tensor([float(stop())], device=device)).item():
                raise TrainingInterrupted(
                    f"stopped after the last step of epoch {run.state.epoch + 1}; "
                    f"the same command goes on; {failures.standing(run)}"
                )
    together: Logits = processes.sum(logits).cpu().numpy()
    return together


def figures(logits: Logits, run: Run, weights: Weights) -> tuple[float, float | None, float | None]:
    """Return the weighted loss over images, and over studies AUROC and Cohen's kappa.

    A study's probability is the mean of its images'; above 0.5 it is abnormal.
    Labels are not smoothed. What is undefined is None.
    """
    labels, classes = targets(run.valid, weights)
    losses = weighted_loss(torch.from_numpy(logits), labels.double(), classes.double())
    views: dict[str, list[float]] = {}
    for sample, probability in zip(run.valid, sigmoid(logits), strict=True):
        views.setdefault(sample.study, []).append(float(probability))
    truth = [*{sample.study: sample.abnormal for sample in run.valid}.values()]
    probabilities = [fmean(of_study) for of_study in views.values()]
    kappa = confusion(truth, [probability > 0.5 for probability in probabilities]).kappa
    return float(losses.mean()), auroc(truth, probabilities), kappa.value if kappa else None


def on(device: torch.device, batch: Tensor) -> Tensor:
    """Bring images, (N, 3, S, S) float32, to where the network is, channels last as it is."""
    return batch.to(device, memory_format=torch.channels_last)


def _read(run: Run, places: range) -> Generator[Prepared, None, None]:
    return images.read_ahead(
        lambda place: images.plain(run.valid[place], run.recipe),
        places,
        workers=run.pace.workers,
        ahead=AHEAD * BATCH,
    )
