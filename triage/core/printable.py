"""Text from elsewhere, made safe to print.

An AE title, a name or a file's path may hold what a terminal obeys: escape sequences
that move the cursor, hide a line or set its title. It is shown as JSON would write it.
"""

import re

# Control characters (an escape sequence begins with one, C1's included), what ends a line or
# turns its direction in Unicode, and halves of characters.
_COMMANDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, keep: str = "") -> str:
    r"""Return *text* on one line that commands nothing, e.g. ``\u001b`` for ESC.

    The characters in *keep* stay: a line feed where the text is ours and has lines.
    """
    return _COMMANDS.sub(
        lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text
    )
