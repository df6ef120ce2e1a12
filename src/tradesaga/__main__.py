"""`python -m tradesaga` is the command `tradesaga`."""

from __future__ import annotations

from tradesaga.cli import main

main()
