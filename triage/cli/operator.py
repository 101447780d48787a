"""Who runs a command, for the history and the audit trail."""

import os
import pwd
from pathlib import Path

LOGIN = Path("/proc/self/loginuid")
NOBODY = 2**32 - 1  # what the kernel says of a process that no login began: a service, a container


def operator() -> str:
    """Name the operating system's user who runs the command.

    Behind sudo and su it is the one who logged in, whom the kernel remembers and
    no process may change (pam_loginuid); where nobody did, the process's user. The
    environment, which says what its owner likes, is not asked.
    """
    try:
        login = int(LOGIN.read_text("ascii"))
    except (OSError, ValueError):  # a kernel without auditing
        login = NOBODY
    uid = os.getuid() if login == NOBODY else login
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a user of a container, or of a directory that does not answer
        return f"uid {uid}"
