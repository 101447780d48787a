"""Why training ends early, in words that say what to do."""

import torch

from triage.errors import ViewUnreadable
from triage.research.plan import Run
from triage.research.processes import Processes

ANEW = "begin anew (--restart, or another --out) with "


def where(run: Run) -> str:
    """Name what is being done."""
    epoch, steps = run.state.epoch + 1, len(run.train) // run.recipe.batch
    if run.state.step == steps:
        return f"epoch {epoch}, validation"
    return f"epoch {epoch}, step {run.state.step + 1}"


def standing(run: Run) -> str:
    """Say what the checkpoint holds."""
    kept = [number for number, figures in enumerate(run.state.history, 1) if figures["kept"]]
    if not kept:
        return f"no epoch is finished, so there is no {run.out} yet"
    loss = run.state.history[kept[-1] - 1]["validation_loss"]
    return f"{run.out} holds the network of epoch {kept[-1]}, validation loss {loss:.4f}"


def not_finite(what: str, run: Run) -> str:
    """Explain a NaN or an infinity."""
    remedy = "a lower --learning-rate"
    if run.recipe.precision != "float32":
        remedy += " or --precision float32"
    return f"{where(run)}: the {what} is not a finite number; {ANEW}{remedy}; {standing(run)}"


def explained(error: Exception, run: Run, processes: Processes) -> str | None:
    """Explain what an image, the memory, a GPU or another process raised; None if it is ours."""
    first_line = str(error).partition("\n")[0]
    if isinstance(error, ViewUnreadable):
        reason = f"{error}; mend the file and give the same command again"
    elif _is_out_of_memory(error):
        each = run.recipe.batch // processes.size
        reason = (
            f"out of memory with {each} images of {run.recipe.image_size} pixels at a time; "
            f"{ANEW}a smaller --batch or --image-size, or spread the batch over more processes"
        )
    elif isinstance(error, torch.AcceleratorError):
        reason = f"the GPU has failed ({first_line}); the same command goes on"
    elif processes.size > 1:
        reason = f"another process has ended ({first_line}); the same command goes on"
    else:
        return None
    return f"{where(run)}: {reason}; {standing(run)}"


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # On the CPU torch raises its common error; these are the words of its allocator and of oneDNN.
    words = str(error)
    return "can't allocate memory" in words or "could not create a memory" in words
