"""Variables in the texts of the file: `${VAR}`, `${VAR:-default}` and `${VAR:?message}`.

Everything else with a dollar stays as it is: `$5`, `p@ss$w0rd`, `$VAR`. What a variable holds is
not looked through again. `${VAR:default}`, which shells read as something else, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tradesaga.config.values import Unfit, Untyped

_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?", re.ASCII | re.DOTALL)
_NAME_FIRST = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)[:=+?-]", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Substituted:
    """A text after substitution, the variables whose values are in it, and what went wrong."""

    text: Untyped
    variables: tuple[str, ...]
    unfit: tuple[Unfit, ...]


def has_variables(value: object) -> bool:
    """Whether there is anything to substitute."""
    return isinstance(value, str) and "${" in value


def substitute(text: str, environment: Mapping[str, str]) -> Substituted:
    """Replace every variable; one that is missing or in another notation is in `unfit`."""
    parts: list[str] = []
    used: list[str] = []
    unfit: list[Unfit] = []
    rest = text
    while "${" in rest:
        before, _, rest = rest.partition("${")
        body, _, rest = rest.partition("}") if "}" in rest else (None, "", "")
        try:
            name, value = _value(body, environment)
        except Unfit as error:
            unfit.append(error)
            continue
        parts += (before, value)
        if name:
            used.append(name)
    return Substituted(
        text=Untyped("".join((*parts, rest))),
        variables=tuple(dict.fromkeys(used)),
        unfit=tuple(unfit),
    )


def _value(body: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    """The name of the variable that was used, empty for a default, and the text."""
    if body is None:
        raise Unfit("a ${ has no }", "close it, as in ${VAR}")
    if "${" in body:
        raise Unfit("a variable stands within a variable", "use one level only")
    form = _FORM.fullmatch(body)
    if form is None:
        meant = _NAME_FIRST.match(body)  # what follows the name may be a password
        name = meant[1] if meant else "VAR"
        raise Unfit("a ${...} is in no form that is known here", f"write ${{{name}:-default}}")
    name, operator, word = form.groups()
    found = environment.get(name)
    if operator is None and found is None:
        raise Unfit(
            f"the variable {name} is not set",
            f"set {name}, write a value, or ${{{name}:-default}}",
        )
    if operator == ":?" and not found:
        raise Unfit(f"the variable {name} is not set: {word}", f"set {name}")
    if operator == ":-" and not found:
        return "", str(word)
    return name, found or ""
