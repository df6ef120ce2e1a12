"""What the commands say to their caller, and what each error of ours comes to.

Errors are told on stderr, one problem a line and without secrets; stdout stays with the answer. A
server that is asked to end by a first signal and ends in good order says 0; a second signal makes
it 130 or 143.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

from tradesaga.domain.errors import (
    IllegalTransition,
    Invalid,
    NotFound,
    TradesagaError,
    Transient,
)
from tradesaga.domain.redaction import without_secrets

TRACEBACK_VARIABLE: Final = "TRADESAGA_TRACEBACK"


class ExitCode(IntEnum):
    """What a command says to its caller."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    WRONG_STATE = 4
    UNREACHABLE = 5
    TIMED_OUT = 124
    INTERRUPTED = 130


def told(error: BaseException, *, with_traceback: bool) -> ExitCode:
    """Print what went wrong to stderr; the exit code of the first cause."""
    if with_traceback:
        text = "".join(traceback.format_exception(error))
        print(without_secrets(text), end="", file=sys.stderr)
    causes = list(dict.fromkeys(_causes(error)))
    lines = dict.fromkeys(line for cause in causes for line in _lines(cause))
    for line in lines:
        print(f"tradesaga: {without_secrets(line)}", file=sys.stderr)
    if not with_traceback and not all(isinstance(cause, TradesagaError) for cause in causes):
        print(f"tradesaga: {TRACEBACK_VARIABLE}=1 shows where it happened", file=sys.stderr)
    return _code(causes[0])


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What a group wraps, our own errors first: the rest are mostly their echo."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    leaves = [leaf for one in error.exceptions for leaf in _causes(one)]
    yield from sorted(leaves, key=lambda leaf: not isinstance(leaf, TradesagaError))


def _lines(error: BaseException) -> Iterable[str]:
    match error:
        case Invalid():
            return error.problems
        case TradesagaError():
            return [str(error)]
        case KeyboardInterrupt():
            return ["interrupted"]
        case _:
            return [f"unexpected {type(error).__name__}: {error}"]


def _code(error: BaseException) -> ExitCode:
    match error:
        case Invalid():
            return ExitCode.USAGE
        case NotFound():
            return ExitCode.NOT_FOUND
        case IllegalTransition():
            return ExitCode.WRONG_STATE
        case Transient():
            return ExitCode.UNREACHABLE
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.FAILED
