"""The virtual loop with a seed that says what runs first.

Of the callbacks that are ready at one instant the seed chooses the order, so that a race that real
scheduling shows once a year shows here soon. The same seed and the same version of Python give the
same trace.
"""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Callable

from tradesaga.adapters.virtual_time import Deadlock, VirtualLoop

__all__ = ["Deadlock", "SimLoop"]


class SimLoop(VirtualLoop):
    """One simulated world's loop; `rng` is the only source of chance in it.

    `callbacks` counts what ran. `on_note` is handed every line of the trace.
    """

    def __init__(self, seed: int, *, on_note: Callable[[str], None] | None = None) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        self.callbacks = 0
        self._mixed = 0
        self._digest = hashlib.sha256()
        self._on_note = on_note

    def note(self, line: str) -> None:
        """Write a line of the trace; it becomes part of the trace's hash."""
        stamped = f"{self._seconds:12.6f} {line}"
        self._digest.update(stamped.encode())
        if self._on_note is not None:
            self._on_note(stamped)

    @property
    def trace(self) -> str:
        """A hash over all notes, over the time of every turn and over how many ran in it."""
        end = f"{self._mixed} {self.callbacks} {self._seconds:.6f}"
        digest = self._digest.copy()
        digest.update(end.encode())
        return digest.hexdigest()[:16]

    def _run_once(self) -> None:
        if len(self._ready) > 1:
            ready = list(self._ready)
            self.rng.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        self.callbacks += len(self._ready)
        self._mixed = zlib.crc32(b"%d %r" % (len(self._ready), self._seconds), self._mixed)
        super()._run_once()  # type: ignore[misc]  # private, and the one place to step in
