"""Signed decisions: the check of the orchestrator, and the key of the simulated decision maker.

The library is an extra: it is imported only where the configuration asks for signatures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tradesaga.adapters.nats.payloads import Check
from tradesaga.config import Settings
from tradesaga.domain.errors import Invalid
from tradesaga.domain.signed_decisions import SigningMode, Validity
from tradesaga.paper.personality import AI_DECISION

MISSING = (
    "security.decisionSigning needs a library that is not installed: "
    "pip install 'tradesaga[security]'"
)
KEYS = "ORCHESTRATOR__SECURITY__DECISIONSIGNING__KEYS"


def signature_check(settings: Settings) -> Check | None:
    """What judges decisions; None when signatures are of no interest. Raises Invalid."""
    signing = settings.security.decision_signing
    if signing.mode is SigningMode.OFF:
        return None
    try:
        from tradesaga.adapters.nats.signatures import SignatureCheck  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as error:
        raise Invalid([MISSING]) from error
    if not signing.keys:
        raise Invalid([f"security.decisionSigning.mode is {signing.mode}, but no key is known"])
    return SignatureCheck(
        mode=signing.mode,
        keys=signing.by_source(),
        validity=Validity(time_max=signing.validity_max, clock_error=signing.clock_error),
    )


def paper_key(settings: Settings, directory: Path) -> Mapping[str, str]:
    """What the orchestrator needs in its environment to believe the simulated ai-decision.

    Nothing when signatures are of no interest. Raises Invalid.
    """
    signing = settings.security.decision_signing
    if signing.mode is SigningMode.OFF:
        return {}
    try:
        from tradesaga.paper.signing import kept_signer  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as error:
        raise Invalid([MISSING]) from error
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = f"{AI_DECISION}={kept_signer(directory).public_key}"
    return {KEYS: json.dumps([*signing.keys, own])}
