"""What a text must not show to whoever reads logs, traces or the last words of a process."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
_SECRET: Final = re.compile(
    r"(?<=://)[^/\s@\"']+(?=@)"  # the user part of a URL
    r"|\btsk_[A-Za-z0-9_-]{43}|(?<=\bBearer )[^\s\"']+"  # a token of the API, or of any other
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",  # a JWT
)


def without_secrets(text: str) -> str:
    """`text` with logins within addresses and with tokens replaced."""
    return _SECRET.sub(MASK, text)
