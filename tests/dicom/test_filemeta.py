"""The file meta information is what pynetdicom and pydicom would have written."""

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom.dsutils import create_file_meta, encode_file_meta
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from triage.dicom.filemeta import PREFIX, preamble
from triage.errors import BadInstance


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34", "2.25." + "9" * 39, "1." + "2" * 62])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLosslessSV1])
def test_it_is_what_pynetdicom_writes(instance, syntax):
    meta = create_file_meta(
        sop_class_uid=UID(ComputedRadiographyImageStorage),
        sop_instance_uid=UID(instance),
        transfer_syntax=UID(syntax),
    )

    made = preamble(ComputedRadiographyImageStorage, instance, syntax)

    assert made == PREFIX + encode_file_meta(meta)
    assert dcmread(BytesIO(made)).file_meta.MediaStorageSOPInstanceUID == instance


def test_a_uid_of_other_characters_makes_a_bad_instance():
    with pytest.raises(BadInstance, match="ASCII"):
        preamble(ComputedRadiographyImageStorage, "1.2.\xe9", ExplicitVRLittleEndian)
