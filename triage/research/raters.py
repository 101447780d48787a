"""Raters beside the model: the design of the paper's Table 2 (Rajpurkar et al. 2017, section 4).

Some of the raters, drawn by a seed, make the gold standard by majority; each of
the others, and the model, is measured against it. No rater is measured against
a standard that he had a vote in.
"""

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triage.core.agreement import Confusion, confusion, majority
from triage.errors import RatingsUnusable, UsageError
from triage.research.evaluate import Chance, Judged, Scoped, bootstrapped, scoped
from triage.research.mura import LabelledStudy
from triage.research.statistics import Bootstrapped

VOTES = {"0": False, "1": True}
MODEL = "model"  # what the model is called beside the raters
ENDINGS = ("_positive", "_negative")


@dataclass(frozen=True, kw_only=True)
class Ratings:
    """What raters say of studies."""

    raters: tuple[str, ...]
    votes: Mapping[str, tuple[bool, ...]]  # by the study's key, in the order of the raters


@dataclass(frozen=True, kw_only=True)
class Readers:
    """How raters and model stand against the gold standard over some studies."""

    raters: Mapping[str, Confusion]
    model: Confusion
    auroc: Bootstrapped | None  # of the model's probabilities

    @property
    def best(self) -> str | None:
        """The rater of the highest kappa, the first of equals; None where no kappa is defined."""
        return max(self._kappas, key=lambda name: self._kappas[name], default=None)

    @property
    def worst(self) -> str | None:
        """Likewise, of the lowest."""
        return min(self._kappas, key=lambda name: self._kappas[name], default=None)

    @property
    def apart(self) -> bool | None:
        """Say whether the intervals of the model's and the best rater's kappa separate."""
        model = self.model.kappa
        best = self.raters[self.best].kappa if self.best else None
        return model.interval.apart_from(best.interval) if model and best else None

    @property
    def _kappas(self) -> dict[str, float]:
        kappas = {name: counts.kappa for name, counts in self.raters.items()}
        return {name: kappa.value for name, kappa in kappas.items() if kappa}


@dataclass(frozen=True, kw_only=True)
class RaterStudy:
    """Raters and model against the majority of other raters."""

    gold: tuple[str, ...]  # the raters whose majority is the truth
    readers: Scoped[Readers]
    truth: Mapping[str, bool]  # what the majority says, by the study's key
    unrated: int  # studies that the model judged and the raters did not


def read_ratings(path: Path, studies: Iterable[LabelledStudy]) -> Ratings:
    """Read a CSV of a header and one row a study: its path, then 0 or 1 of each rater.

    The path may be any that ends in ``XR_PART/patientN/studyK``, with the
    label's ending or without. Raises RatingsUnusable naming file and line.
    """
    keys = _keys(studies)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            header = next(rows, [])
            try:
                raters = _raters(header)
                votes: dict[str, tuple[bool, ...]] = {}
                for row in rows:
                    if row:
                        key, said = _row(row, raters, keys)
                        if key in votes:
                            raise ValueError(f"the study {row[0]} stands there twice")
                        votes[key] = said
            except (ValueError, csv.Error) as error:
                raise RatingsUnusable(f"{path}:{max(1, rows.line_num)}: {error}") from error
    except UnicodeDecodeError as error:
        raise RatingsUnusable(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not votes:
        raise RatingsUnusable(f"{path}: rates no study")
    return Ratings(raters=raters, votes=votes)


def choose_gold(raters: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    """Draw the raters of the gold standard, in their order; raises UsageError for a bad *count*."""
    if count < 1 or count % 2 == 0:
        raise UsageError(f"--gold {count}: give an odd number, so that no vote is a tie")
    if count >= len(raters):
        raise UsageError(
            f"--gold {count}: of {len(raters)} raters that leaves none to be measured; "
            "give a smaller odd number"
        )
    chosen = random.Random(seed).sample(range(len(raters)), count)  # noqa: S311  no secret
    return tuple(raters[index] for index in sorted(chosen))


def rate(
    studies: Sequence[Judged], ratings: Ratings, gold: Sequence[str], chance: Chance
) -> RaterStudy:
    """Measure the raters outside *gold*, and the model, against the majority of those in it."""
    rated = [study for study in studies if study.key in ratings.votes]
    judges = [ratings.raters.index(name) for name in gold]
    truth = {
        study.key: majority([ratings.votes[study.key][judge] for judge in judges])
        for study in rated
    }

    def measure(some: Sequence[Judged]) -> Readers:
        right = [truth[study.key] for study in some]
        return Readers(
            raters={
                name: confusion(right, (ratings.votes[study.key][index] for study in some))
                for index, name in enumerate(ratings.raters)
                if name not in gold
            },
            model=confusion(right, (study.said for study in some)),
            auroc=bootstrapped(some, right, chance),
        )

    return RaterStudy(
        gold=tuple(gold),
        readers=scoped(rated, measure),
        truth=truth,
        unrated=len(studies) - len(rated),
    )


def _raters(header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in header[1:])
    if not names:
        raise ValueError("the first line names the columns: the study, then each rater")
    if "" in names:
        raise ValueError(f"column {names.index('') + 2} has no name; name each rater")
    if all(name in VOTES for name in names):
        raise ValueError("the first line is to name the raters, and these are votes")
    if MODEL in names:
        raise ValueError(f"a rater is named {MODEL!r}, as the model is; name him otherwise")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two columns are named {twice[0]!r}")
    return names


def _row(
    row: Sequence[str], raters: Sequence[str], keys: Mapping[str, str | None]
) -> tuple[str, tuple[bool, ...]]:
    study, *votes = (cell.strip() for cell in row)
    if len(votes) != len(raters):
        raise ValueError(f"{len(raters)} raters are named, and here are {len(votes)} votes")
    for name, vote in zip(raters, votes, strict=True):
        if vote not in VOTES:
            raise ValueError(f"the vote of {name} is {vote!r}; give 0 (normal) or 1 (abnormal)")
    ending = "/".join(study.rstrip("/").split("/")[-3:])
    if ending not in keys:
        raise ValueError(f"{study}: the split has no such study")
    key = keys[ending]
    if key is None:
        raise ValueError(f"{study}: is two studies of the split; add _positive or _negative")
    return key, tuple(VOTES[vote] for vote in votes)


def _keys(studies: Iterable[LabelledStudy]) -> dict[str, str | None]:
    """Return every way to name a study, with its key; None where a name is that of two."""
    keys: dict[str, str | None] = {}
    for study in studies:
        bare = study.key
        for ending in ENDINGS:
            bare = bare.removesuffix(ending)
        keys[bare] = None if bare in keys else study.key
        keys[study.key] = study.key
    return keys
