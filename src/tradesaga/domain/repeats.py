"""A command with an Idempotency-Key: taken once, answered every time with the same answer.

    (new) --the command's first commit--> TAKEN --its answer--> ANSWERED

Key and token together name a command; the fingerprint says which it was, so that a key that is used
for another command is noticed. A command that was taken and has no answer has had its effect, in
part or as a whole: the process ended before the answer was known. It is never taken again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from tradesaga.domain.ids import AgentId, derived


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """One command as it was taken. `status` and `body` are its answer, once that is known.

    A body that held a secret is not kept: `withheld`.
    """

    id: UUID
    agent_id: AgentId
    token_id: str
    operation: str
    fingerprint: str
    taken_at: datetime
    status: int | None = None
    media_type: str = ""
    body: str = ""
    withheld: bool = False
    version: int = 1


def taken(
    agent_id: AgentId,
    *,
    token_id: str,
    key: str,
    method: str,
    path: str,
    body: bytes,
    now: datetime,
) -> KeptAnswer:
    """The row of a command that is about to be taken."""
    said = b"\x1f".join((method.encode(), path.encode(), body))
    return KeptAnswer(
        id=derived(agent_id, "repeat", token_id, key),
        agent_id=agent_id,
        token_id=token_id,
        operation=f"{method} {path}",
        fingerprint=sha256(said).hexdigest(),
        taken_at=now,
    )
