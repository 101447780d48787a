"""What several acceptance tests do to the daemon of their module."""

import pytest

from tests.support import dcmtk, studies


@pytest.fixture
def send(daemon, tmp_path):
    """Return a function that sends data sets in one association; each must be acknowledged."""

    def send(*datasets):
        files = [studies.write(tmp_path, dataset).file for dataset in datasets]
        sent = dcmtk.storescu(daemon.port, files, "-R")
        assert sent.returncode == 0, sent.stderr

    return send
