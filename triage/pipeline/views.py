"""From stored pixels to probabilities, the same way in the daemon and without one."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triage import logs
from triage.core.reasons import Code, reason
from triage.core.studytype import StudyType
from triage.errors import ModelUnusable, ScorerBroken, ViewUnreadable

if TYPE_CHECKING:  # torch takes seconds to import; a process without a model never pays them
    from triage.dicom.grey import Grey
    from triage.model.preprocess import Prepared
    from triage.model.scorer import Scorer

log = logs.get(__name__)

# Trying these again would change nothing.
_FINAL = (Code.TOO_LARGE, Code.NOT_AN_IMAGE, Code.NOT_ACCEPTED_BY_MODEL)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one view comes from."""

    study_type: StudyType | None
    read: "Callable[[], Grey]"  # (H, W) uint8; raises ViewUnreadable


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What scoring one view came to: a probability, or why there is none."""

    probability: float | None = None
    threshold: float | None = None
    model: str | None = None
    reason: str | None = None
    final: bool = False  # trying again would change nothing


def score_views(
    scorer: "Scorer", sources: Sequence[Source], decoders: ThreadPoolExecutor
) -> list[Verdict]:
    """Decode, prepare and score the views; one that fails takes no other with it.

    Raises ScorerBroken when it is the network that fails, whatever the view.
    """

    def prepare(source: Source) -> "Prepared | Verdict":
        try:
            _check_accepted(scorer, source.study_type)
            return scorer.prepare(source.read())
        except ViewUnreadable as error:
            return Verdict(reason=reason(error.code, str(error)), final=error.code in _FINAL)

    verdicts = list(decoders.map(prepare, sources))
    images = {i: image for i, image in enumerate(verdicts) if not isinstance(image, Verdict)}
    scored = _score(scorer, sources, images) if images else {}
    return [v if isinstance(v, Verdict) else scored[i] for i, v in enumerate(verdicts)]


def _check_accepted(scorer: "Scorer", study_type: StudyType | None) -> None:
    if study_type is not None and study_type not in scorer.card.accepted:
        sentence = f"the model {scorer.card.identity} does not accept {study_type} studies"
        raise ViewUnreadable(Code.NOT_ACCEPTED_BY_MODEL, sentence)


def _score(
    scorer: "Scorer", sources: Sequence[Source], images: "dict[int, Prepared]"
) -> dict[int, Verdict]:
    try:
        probabilities = scorer.score(list(images.values()))
    except (ModelUnusable, RuntimeError) as error:  # torch: out of memory, a lost device
        if not scorer.works():
            raise ScorerBroken(
                f"the network on {scorer.device} has stopped working: {error}"
            ) from error
        log.error("scoring_failed", reason=str(error), views=len(images))
        why = reason(Code.SCORING_FAILED, "the network failed on this view; see the log")
        return dict.fromkeys(images, Verdict(reason=why))
    return {
        index: Verdict(
            probability=probability,
            threshold=scorer.threshold(sources[index].study_type),
            model=scorer.card.identity,
        )
        for index, probability in zip(images, probabilities, strict=True)
    }
