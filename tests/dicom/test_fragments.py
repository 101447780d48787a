from io import SEEK_CUR, BytesIO

from hypothesis import given
from hypothesis import strategies as st

from triage.dicom.fragments import Fragments

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=20)


@given(pieces=st.lists(st.binary(max_size=7), max_size=6), steps=STEPS)
def test_pieces_are_read_as_the_whole_is(pieces, steps):
    whole = BytesIO(b"".join(pieces))
    fragments = Fragments(pieces)

    for reading, size in steps:
        if reading:
            assert fragments.read(size) == whole.read(size)
        else:
            left = len(whole.getvalue()) - whole.tell()
            whole.seek(min(size, left), SEEK_CUR)
            assert fragments.seek(size, SEEK_CUR) == max(size - left, 0)
