"""The preliminary reading as text, from the site's own templates (`report.normal`).

Jinja2, in its sandbox: a template reads the values that it is given, and nothing else. What
a sender has written into a header is a value and never a template.
"""

from collections.abc import Mapping
from dataclasses import asdict

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from triage.core.detail import StudyDetail
from triage.core.printable import printable
from triage.core.report import ANY, Passage, mark, passages
from triage.core.studytype import StudyType
from triage.errors import TemplateFailed

LONGEST = 20_000  # characters of a text

_environment = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    finalize=lambda value: "" if value is None else value,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # plain text; the page that shows it escapes it
)
_OF_STUDY = ("accession_number", "patient_id", "patient_name", "study_description", "model")
NAMES = (*Passage.__dataclass_fields__, *_OF_STUDY)


def write(templates: Mapping[str, str], detail: StudyDetail) -> str | None:
    """Return the preliminary reading of a study that has one, below its mark.

    None where the site has no text for one of its study types. Raises TemplateFailed.
    """
    of_study = {name: getattr(detail.row, name) for name in _OF_STUDY}
    texts = []
    for passage in passages(detail):
        template = templates.get(passage.study_type, templates.get(ANY))
        if template is None:
            return None
        try:
            texts.append(_render(template, asdict(passage) | of_study))
        except ValueError as error:
            raise TemplateFailed(f"report.normal, {passage.study_type}: {error}") from error
    return "\n\n".join([mark(detail.row.model), *texts])


def check(template: str) -> None:
    """Try a template on made-up studies. Raises ValueError with what is wrong."""
    try:
        unknown = find_undeclared_variables(_environment.parse(template)) - {
            *NAMES,
            *_environment.globals,
        }
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from error
    if unknown:
        raise ValueError(
            f"there is no {', '.join(sorted(unknown))}; a template is given {', '.join(NAMES)}"
        )
    for study_type in StudyType:
        for side, views in (("left", 1), (None, 3)):
            passage = Passage(
                study_type=study_type, side=side, views=views, probability=0.25, threshold=0.5
            )
            _render(template, asdict(passage) | dict.fromkeys(_OF_STUDY, "specimen"))
            _render(template, asdict(passage) | dict.fromkeys(_OF_STUDY))


def _render(template: str, values: Mapping[str, object]) -> str:
    """Return what a template makes of the values. Raises ValueError."""
    shown = {
        name: printable(value) if isinstance(value, str) else value
        for name, value in values.items()
    }
    try:
        made = _environment.from_string(template).render(shown).strip()
    except TemplateError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # whatever the template's own arithmetic comes to
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not made:
        raise ValueError("it makes no text")
    if len(made) > LONGEST:
        raise ValueError(f"it makes {len(made)} characters, and {LONGEST} is the limit")
    return made
