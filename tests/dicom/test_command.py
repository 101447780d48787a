"""The answer to a C-STORE is, byte for byte, what pynetdicom would have sent."""

import pytest
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from triage.dicom.command import store_response


def answer(instance="1.2.3", status=0x0000, message=7, comment=None):
    made = C_STORE()
    made.MessageIDBeingRespondedTo = message
    made.AffectedSOPClassUID = UID(ComputedRadiographyImageStorage)
    made.AffectedSOPInstanceUID = UID(instance)
    made.Status = status
    if comment:
        made.ErrorComment = comment
    return made


@pytest.mark.parametrize("instance", ["1.2.3", "1.2.34", "2.25." + "9" * 39])
@pytest.mark.parametrize(("status", "message"), [(0x0000, 0), (0xA700, 1), (0xC000, 65535)])
def test_it_is_what_pynetdicom_sends(instance, status, message):
    primitive = answer(instance, status, message)
    theirs = C_STORE_RSP()
    theirs.primitive_to_message(primitive)
    (fragment,) = theirs.encode_msg(1, 16384)
    ((_, expected),) = fragment.presentation_data_value_list

    assert b"\x03" + store_response(primitive) == expected


def test_what_has_more_to_say_than_a_status_is_left_to_pynetdicom():
    assert store_response(answer(status=0xA700, comment="send it again later")) is None
    assert store_response(C_ECHO()) is None
    assert store_response(C_STORE()) is None
