"""A value that must not be shown: passwords and tokens.

It prints as `***` however it is formatted; `reveal` is the one way to the text, so that a search
for its callers lists every place where a secret leaves the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

MASK: Final = "***"


@dataclass(frozen=True, slots=True)
class Secret:
    """Text that is masked in logs, messages and listings; empty means: none is set."""

    _text: str = field(default="", repr=False)

    def reveal(self) -> str:
        """The text itself; hand it to the driver and nowhere else."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    @override
    def __repr__(self) -> str:
        return MASK

    @override
    def __str__(self) -> str:
        return MASK

    @override
    def __format__(self, format_spec: str) -> str:
        return MASK
