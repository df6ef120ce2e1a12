"""The lines of one module's log, whatever another test has configured or bound before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import structlog
from structlog.testing import LogCapture


@contextmanager
def lines_of(module: ModuleType, logger: str = "log") -> Iterator[list[Any]]:
    """Collect what `module` logs through its name `logger`."""
    captured = LogCapture()
    own = structlog.wrap_logger(
        None,
        processors=[captured],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
    )
    with patch.object(module, logger, own):
        yield captured.entries
