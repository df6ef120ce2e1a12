"""The kinds of problems: one status, one sentence and one remedy each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of problem; `hint` is what to do about it."""

    code: str
    status: int
    title: str
    hint: str


INVALID = Kind(
    code="invalid-request",
    status=400,
    title="The request is not valid",
    hint="Correct what `problems` names and send the request again; nothing has been done.",
)
MALFORMED = Kind(
    code="malformed-body",
    status=400,
    title="The body is not a JSON object",
    hint="Send one JSON object in UTF-8, or no body at all where every field is optional.",
)
CROSS_SITE = Kind(
    code="cross-site-request",
    status=403,
    title="A page of another site may not send commands",
    hint="Send commands from a page of this address, from the command line or from a program.",
)
UNAUTHENTICATED = Kind(
    code="unauthenticated",
    status=401,
    title="The request shows no token that is known here",
    hint="Send the header Authorization: Bearer TOKEN. The command line does so by itself on this "
    "machine; `tradesaga token create` makes tokens.",
)
SIGN_IN = Kind(
    code="sign-in-again",
    status=401,
    title="This needs somebody who has signed in just now",
    hint="Sign in at the issuer again, get a new token from it, and send the command once more.",
)
FORBIDDEN = Kind(
    code="forbidden",
    status=403,
    title="This needs a scope that the token does not have",
    hint="Use a token with the scope that `detail` names; `tradesaga token ls` lists them.",
)
NO_SUCH_PATH = Kind(
    code="no-such-path",
    status=404,
    title="There is nothing at this path",
    hint="All paths are listed in /api/v1/openapi.json.",
)
NOT_FOUND = Kind(
    code="not-found",
    status=404,
    title="No such thing",
    hint="Look up the id in the list it belongs to: /api/v1/cycles, /api/v1/sagas or "
    "/api/v1/strategies.",
)
METHOD = Kind(
    code="method-not-allowed",
    status=405,
    title="The path does not know this method",
    hint="The header Allow lists the methods of this path.",
)
WRONG_STATE = Kind(
    code="wrong-state",
    status=409,
    title="That cannot be done in the present state",
    hint="Send one of `allowedActions` first, or remove what `detail` names.",
)
STALE = Kind(
    code="precondition-failed",
    status=412,
    title="The state is not the one that If-Match names",
    hint="Nothing has been done. Read it again and decide again: the answer has the ETag to send.",
)
CONFLICT = Kind(
    code="conflict",
    status=409,
    title="The state has moved on meanwhile",
    hint="Read the status, then decide again.",
)
KEY_IN_USE = Kind(
    code="key-in-use",
    status=409,
    title="A command with this key is being worked on",
    hint="Repeat it in a moment: then it has its answer.",
)
ANSWER_LOST = Kind(
    code="answer-lost",
    status=409,
    title="The command was taken, its answer is not known any more",
    hint="It is not done again. Look at the state; send another key if it is to be done once more.",
)
KEY_REUSED = Kind(
    code="key-reused",
    status=422,
    title="The key was used for another command",
    hint="Send each command with a key of its own, and the same one only to repeat it.",
)
TOO_LARGE = Kind(
    code="body-too-large",
    status=413,
    title="The body is too large",
    hint="A body may have 64 KiB; no request of this API needs more.",
)
MEDIA = Kind(
    code="unsupported-media-type",
    status=415,
    title="The body is not declared as JSON",
    hint="Send the header Content-Type: application/json.",
)
MISDIRECTED = Kind(
    code="misdirected-request",
    status=421,
    title="This server does not answer for that host",
    hint="Use http://127.0.0.1 or http://localhost with the port of the API.",
)
TOO_MANY = Kind(
    code="too-many-requests",
    status=429,
    title="These are more requests than are answered",
    hint="Wait as many seconds as the header Retry-After says.",
)
TOO_MANY_HEADERS = Kind(
    code="headers-too-large",
    status=431,
    title="The head of the request is too large",
    hint="Send at most 64 headers, and at most 8 KiB of path and parameters.",
)
INTERNAL = Kind(
    code="internal-error",
    status=500,
    title="The server failed",
    hint="Look for the trace id in the log of the server. Whether a command took effect is shown "
    "by /api/v1/agent/status.",
)
REFUSED = Kind(
    code="refused-by-service",
    status=502,
    title="Another service refused",
    hint="`detail` has its words; it has not taken effect.",
)
UNAVAILABLE = Kind(
    code="unavailable",
    status=503,
    title="The database or the lease cannot be reached",
    hint="Try again shortly; /health says which part is away. Commands may be repeated safely.",
)
TIMED_OUT = Kind(
    code="deadline-exceeded",
    status=504,
    title="The answer did not come in time",
    hint="It may have taken effect: look at /api/v1/agent/status before you repeat it.",
)

KINDS: Final = {
    kind.code: kind
    for kind in (
        INVALID, MALFORMED, UNAUTHENTICATED, SIGN_IN, CROSS_SITE, FORBIDDEN, NO_SUCH_PATH,
        NOT_FOUND, METHOD,
        WRONG_STATE, STALE, CONFLICT, KEY_IN_USE, ANSWER_LOST, KEY_REUSED, TOO_LARGE, MEDIA,
        MISDIRECTED, TOO_MANY, TOO_MANY_HEADERS, INTERNAL, REFUSED, UNAVAILABLE, TIMED_OUT,
    )
}  # fmt: skip
