"""A header under the site's rules: the instance as it is filed."""

from triage.core.selection import ObjectKind, Rules, select
from triage.core.study import Instance
from triage.dicom.header import Header
from triage.settings import StudySettings


def rules_of(settings: StudySettings) -> Rules:
    """Return what the settings say of selection."""
    return Rules(parts=settings.part_table, score_unknown_part=settings.unknown_part == "score")


def judge(header: Header, rules: Rules) -> Instance:
    """Return the instance of *header*: what it shows, and whether it is for the network."""
    subject = header.subject
    selection = select(subject, rules)
    return Instance(
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        series_instance_uid=header.series_instance_uid,
        study_instance_uid=header.study_instance_uid,
        accession_number=header.accession_number,
        patient_id=header.patient_id,
        patient_name=header.patient_name,
        study_description=header.study_description,
        station=header.station,
        modality=subject.modality,
        body_part=header.body_part,
        study_type=selection.study_type,
        part_from=selection.part_from,
        side=selection.side,
        side_from=selection.side_from,
        exposed_field=header.exposed_field,
        exposure=header.exposure,
        frames=selection.frames,
        radiograph=subject.kind is ObjectKind.RADIOGRAPH and subject.frames > 0,
        reason=selection.reason,
        pixel_digest=header.pixel_digest,
    )
