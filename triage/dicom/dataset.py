"""An object on its way in: its fragments without a copy, and its digest as they come.

pynetdicom makes five copies of them, and an object has its digest here when its last fragment
is there.
"""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from pynetdicom.association import Association
from pynetdicom.dimse_messages import DIMSEMessage

from triage.dicom import digest

if TYPE_CHECKING:
    import hashlib

LEAST_KEPT = 4096  # bytes of a fragment that is kept as it came


class DataSet(BytesIO):
    """An encoded data set as it comes in, whose digest is taken meanwhile.

    The peer needs the time to send the next fragment anyway.
    """

    def __init__(self, association: Association, message: DIMSEMessage) -> None:
        """Belong to *message*, whose presentation context is known when the first fragment comes."""
        super().__init__()
        self._association = association
        self._message = message
        self._digest: hashlib._Hash | None = None
        self._fragments: list[bytes | bytearray | memoryview] = []

    def write(self, fragment: Any) -> int:
        """Take the next fragment in; it is kept as it is, without a copy."""
        if not fragment:
            return 0
        if self._digest is None:
            # In a context that was not accepted it is refused, whatever its digest.
            context = self._association._accepted_cx.get(self._message.context_id)
            self._digest = digest.begin(context.transfer_syntax[0] if context else "")
        self._digest.update(fragment)
        # A short one is: a hostile peer sends many, and each costs more to keep than it holds.
        if len(fragment) >= LEAST_KEPT:
            self._fragments.append(fragment)
        elif self._fragments and isinstance(self._fragments[-1], bytearray):
            self._fragments[-1] += fragment
        else:
            self._fragments.append(bytearray(fragment))
        return len(fragment)

    @property
    def fragments(self) -> tuple[bytes | bytearray | memoryview, ...]:
        """The data set in pieces, in their order."""
        return tuple(self._fragments)

    def let_go(self) -> None:
        """Give the memory back; whoever has the fragments keeps them."""
        self._fragments.clear()

    @property
    def digest(self) -> str:
        """What names the object's file (`triage.dicom.digest`); "" of one without a byte."""
        return "" if self._digest is None else self._digest.hexdigest()
