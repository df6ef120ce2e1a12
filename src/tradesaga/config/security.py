"""Whose decisions are believed: public keys by decision maker."""

# ruff: noqa: RUF009 -- `key` and `section` are field specifiers, not shared defaults
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tradesaga.config import values
from tradesaga.config.section import DELAY, HOUR, Section, key, section
from tradesaga.config.values import milliseconds
from tradesaga.domain.signed_decisions import SigningMode

_KEY = values.matching(
    r"[A-Za-z0-9._-]{1,64}=[A-Za-z0-9+/]{43}=",
    "a public key",
    'write "source=KEY", the Ed25519 key of 32 bytes in base64',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSigning(Section):
    """Whether decisions must be signed, and by whom."""

    mode: SigningMode = key(values.choice(SigningMode), "off")
    keys: tuple[str, ...] = key(values.distinct(_KEY), [])
    validity_max: timedelta = key(milliseconds(1000, HOUR), 300_000)
    clock_error: timedelta = key(DELAY, 5000)

    def by_source(self) -> Mapping[str, Sequence[str]]:
        """The keys of each decision maker."""
        found: dict[str, list[str]] = {}
        for text in self.keys:
            source, _, public = text.partition("=")
            found.setdefault(source, []).append(public)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Security(Section):
    """What is asked of those who tell us something."""

    decision_signing: DecisionSigning = section(DecisionSigning)
