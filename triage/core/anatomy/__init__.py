"""What part of the body a radiograph shows: one of MURA's seven study types, or none of them.

A PACS says it in many attributes, each of them optional, in codes and in the
words of its country. `find_part` reads them all in order, and keeps which
attribute decided.

Source: Rajpurkar et al. 2017, section 2 (the seven types); DICOM PS3.3 10.5
(anatomic region macro); PS3.16 annex L and CID 4031 (terms and codes).
"""

from triage.core.anatomy.decision import find_part
from triage.core.anatomy.records import Coded, Evidence, Part, Place, Region
from triage.core.anatomy.site import check_key, place_of
from triage.core.anatomy.table import BUILT_IN, PartTable

__all__ = [
    "BUILT_IN",
    "Coded",
    "Evidence",
    "Part",
    "PartTable",
    "Place",
    "Region",
    "check_key",
    "find_part",
    "place_of",
]
