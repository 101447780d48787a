"""What can go wrong, as one tree.

The text of an error is what the user reads: it names what was wrong and what
to do. ``exit_code`` is what the command line returns for it.
"""


class TriageError(Exception):
    """Something failed that the user or the administrator can act on."""

    exit_code = 1


class UsageError(TriageError):
    """The command or its options were wrong."""

    exit_code = 2


class ConfigurationError(UsageError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class BadInstance(TriageError):
    """A received data set cannot be filed: it is unreadable or lacks an identifier."""


class WrongSopClass(BadInstance):
    """The data set is not of the SOP class or instance that its C-STORE request names."""


class SpoolUnavailable(TriageError):
    """The spool cannot take the bytes: an I/O error, a read-only disk, missing rights."""


class SpoolFull(SpoolUnavailable):
    """The spool has less free space than `spool.min_free`, or the disk is full."""


class SpoolReadOnly(SpoolUnavailable):
    """The spool lies on a file system that is mounted read-only."""


class ReceiverUnavailable(TriageError):
    """The DICOM port cannot be opened: another program has it, or the address is not ours."""


class DatabaseUnavailable(TriageError):
    """The database cannot be reached, is locked, or its schema is not the one expected."""


class StudyNotFound(TriageError):
    """No study has this Study Instance UID or accession number."""


class AmbiguousStudy(TriageError):
    """Several studies carry this accession number; the message lists their UIDs."""


class ViewNotFound(TriageError):
    """The study has no such view, or the view has no such picture; the message says which."""


class TemplateFailed(TriageError):
    """A template of `report.normal` makes no text of a study; the message says why."""


class StudyClaimed(TriageError):
    """Another reader holds the study; the message names the holder."""


class UserNotFound(TriageError):
    """No user of the web interface has this name."""


class UserExists(TriageError):
    """A user of the web interface has this name already."""


class PasswordUnusable(TriageError):
    """The password is too short, too long, or says what everybody would try first."""


class NothingToScore(TriageError):
    """The pixel data of all of the study's images has been deleted after it was read."""


class ModelUnusable(TriageError):
    """The checkpoint is missing, damaged, or has no card."""


class EngineUnavailable(TriageError):
    """Every engine that the settings admit fails here, as on a GPU without free memory.

    Another time it may not.
    """


class ModelDiffers(TriageError):
    """The model gives other probabilities here than those that are stored of it."""


class ScorerBroken(TriageError):
    """The network worked and works no longer: a lost GPU, no memory left."""


class DecodersUnavailable(TriageError):
    """No process can be started to decode views; the message has the system's reason."""


class ViewUnreadable(TriageError):
    """The pixels of a view cannot be turned into an image.

    ``code`` is one of `triage.core.reasons.Code`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SendFailed(TriageError):
    """A peer refused an association or answered an object with a failure."""


class AssociationRejected(SendFailed):
    """The peer answers, and does not let us in."""


class NobodyListens(SendFailed):
    """The peer's port accepts no connection."""


class CertificateWanted(SendFailed):
    """The peer's port speaks TLS and asks for a certificate that it trusts."""


class DatasetUnusable(TriageError):
    """A data set is not laid out as MURA-v1.1 is; the message names file and line."""


class TrainingFailed(TriageError):
    """A training run cannot begin or go on; the message says what is kept and what to do."""


class TrainingInterrupted(TriageError):
    """A training run was asked to stop and can go on later."""

    exit_code = 130  # what a shell expects of a program that Ctrl-C ends


class RatingsUnusable(TriageError):
    """A table of raters' votes is not laid out as documented; the message names file and line."""


class OutputUnwritable(TriageError):
    """The folder or file that was named for the results cannot be made or written."""
