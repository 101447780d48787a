"""The allow-list."""

import pytest

from triage.dicom.access import is_allowed
from triage.settings import Peer

PACS = Peer(ae_title="PACS", address="192.0.2.10")
NETWORK = Peer(address="198.51.100.0/24")
TITLE = Peer(ae_title="MODALITY")
IN_IPV6 = Peer(address="::ffff:192.0.2.0/120")
SIX = Peer(address="2001:db8::/32")
LINK = Peer(address="fe80::/10")
EVERY_SIX = Peer(address="::/0")
FULL = Peer(ae_title="SIXTEEN LETTERS.")


@pytest.mark.parametrize(
    ("allow", "ae_title", "address", "admitted"),
    [
        ((), "ANY", "127.0.0.1", True),
        ((), "ANY", "::1", True),
        ((), "ANY", "::ffff:127.0.0.1", True),
        ((), "ANY", "192.0.2.10", False),
        ((PACS,), "PACS", "192.0.2.10", True),
        ((PACS,), "PACS", "::ffff:192.0.2.10", True),
        ((PACS,), "PACS", "192.0.2.11", False),
        ((PACS,), "OTHER", "192.0.2.10", False),
        ((PACS,), "PACS", "127.0.0.1", False),
        ((PACS,), "pacs", "192.0.2.10", False),
        ((IN_IPV6,), "ANY", "192.0.2.10", True),
        ((IN_IPV6,), "ANY", "::ffff:192.0.2.10", True),
        ((IN_IPV6,), "ANY", "192.0.3.10", False),
        ((SIX,), "ANY", "2001:db8::1", True),
        ((SIX,), "ANY", "2001:db9::1", False),
        ((LINK,), "ANY", "fe80::1%eth0", True),
        ((EVERY_SIX,), "ANY", "192.0.2.10", False),
        ((FULL,), "SIXTEEN LETTERS.", "192.0.2.10", True),
        ((FULL,), "SIXTEEN LETTERS", "192.0.2.10", False),
        ((PACS,), "", "192.0.2.10", False),
        ((NETWORK,), "ANY", "198.51.100.77", True),
        ((NETWORK,), "ANY", "198.51.101.77", False),
        ((TITLE,), "MODALITY", "203.0.113.5", True),
        ((PACS, TITLE), "MODALITY", "203.0.113.5", True),
    ],
)
def test_a_peer_needs_an_entry_that_fits_both_title_and_address(allow, ae_title, address, admitted):
    assert is_allowed(allow, ae_title, address) is admitted
