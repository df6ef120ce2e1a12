"""What persons order: noted at the driving ports as it comes, with what became of it.

A method of a driving port is a command when it says who orders it (`actor`, `who`, `operator`);
all of them are noted, whoever adds one. A command is noted before it is begun, so that a crash in
the middle of it is played again, too. `as_read` is not noted: what was refused for it had no
effect, and what was done is done again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from itertools import count
from typing import Any, Final, get_type_hints

import msgspec
from msgspec import Raw

from tradesaga.domain.errors import Invalid, TradesagaError
from tradesaga.domain.risk import Changes
from tradesaga.domain.strategies import Edit
from tradesaga.engine.agent_control import AgentControl
from tradesaga.ports.approval_operations import ApprovalOperations
from tradesaga.ports.dead_letters import DeadLetterOperations
from tradesaga.ports.ladder_operations import LadderOperations
from tradesaga.ports.operations import Operations
from tradesaga.ports.retention_operations import RetentionOperations
from tradesaga.ports.risk_operations import RiskOperations
from tradesaga.ports.saga_operations import SagaOperations
from tradesaga.ports.schedule_operations import ScheduleOperations
from tradesaga.ports.strategy_operations import NewStrategy, StrategyOperations
from tradesaga.replay.notes import Notes
from tradesaga.replay.tape import COMMAND, exact_digits

PORTS: Final[Mapping[str, type]] = {
    "operations": Operations,
    "sagas": SagaOperations,
    "retention": RetentionOperations,
    "risk": RiskOperations,
    "approvals": ApprovalOperations,
    "dead_letters": DeadLetterOperations,
    "strategies": StrategyOperations,
    "schedules": ScheduleOperations,
    "ladder": LadderOperations,
}
WHO: Final = ("actor", "who", "operator")
_encode = msgspec.json.Encoder().encode
_Loose = Mapping[str, Any]
"""Numbers with a point are exact, and no others: which they are is the field's to know."""


def ports_of(control: AgentControl) -> Mapping[str, Any]:
    """The driving ports of an agent, by their names here."""
    return {
        "operations": control,
        "sagas": control.sagas,
        "retention": control.retention,
        "risk": control.risk,
        "approvals": control.approvals,
        "dead_letters": control.dead_letters,
        "strategies": control.strategy_control,
        "schedules": control.schedules,
        "ladder": control.kill,
    }


class Command:
    """One method of a driving port: how its arguments are written, and read again."""

    def __init__(self, name: str, method: Callable[..., Any]) -> None:
        self.name = name
        self._signature = inspect.signature(method)
        self._hints = {
            key: hint
            for key, hint in get_type_hints(method).items()
            if key not in ("return", "as_read")
        }
        self.who = next(word for word in WHO if word in self._hints)
        form = _form(self.name, self._hints)
        self._read = msgspec.json.Decoder(form, float_hook=Decimal).decode

    def written(self, *values: Any, **named: Any) -> Mapping[str, Any]:
        """The arguments of a call, as they are noted."""
        given = self._signature.bind(None, *values, **named).arguments
        return {key: _plain(given[key]) for key in self._hints if key in given}

    def read(self, body: Raw) -> Mapping[str, Any]:
        """The arguments that were noted. Raises Invalid for those of another version."""
        try:
            found = self._read(body)
        except msgspec.MsgspecError as error:
            raise Invalid([f"{self.name} was recorded by another version: {error}"]) from error
        named = msgspec.structs.asdict(found)
        return {key: _value(one) for key, one in named.items() if one is not msgspec.UNSET}


def _form(name: str, hints: Mapping[str, Any]) -> Any:
    """What the arguments are read as; one that was not given stays unset."""
    keys = [(key, _loosely(hint) | msgspec.UnsetType, msgspec.UNSET) for key, hint in hints.items()]
    return msgspec.defstruct(name.replace(".", "_"), keys, kw_only=True)


def _loosely(hint: Any) -> Any:
    """The hint, without unions of texts and numbers, which no text alone can tell apart."""
    if hint == Changes:
        return _Loose
    return _FORMS.get(hint, hint)


def _form_of(cls: Any) -> Any:
    hints = get_type_hints(cls)
    loose = {"parameters": _Loose | None if cls is Edit else _Loose}
    form = msgspec.defstruct(
        f"_{cls.__name__}", [(f.name, loose.get(f.name, hints[f.name])) for f in fields(cls)]
    )
    _CLASSES[form] = cls
    return form


_CLASSES: Final[dict[Any, Any]] = {}
_FORMS: Final[Mapping[Any, Any]] = {cls: _form_of(cls) for cls in (NewStrategy, Edit)}


def _value(read: Any) -> Any:
    cls = _CLASSES.get(type(read))
    return read if cls is None else cls(**msgspec.structs.asdict(read))


def _plain(value: Any) -> Any:
    """What is written: exact numbers in mappings keep a point."""
    if isinstance(value, Mapping):
        return {key: _number(one) for key, one in value.items()}
    if isinstance(value, NewStrategy | Edit) and value.parameters is not None:
        return replace(value, parameters=_plain(value.parameters))
    return value


def _number(value: Any) -> Any:
    return Raw(exact_digits(value)) if isinstance(value, Decimal) else value


def _commands() -> Iterator[tuple[str, Command]]:
    for port, protocol in PORTS.items():
        for name, method in vars(protocol).items():
            if name.startswith("_") or not callable(method):
                continue
            if any(word in inspect.signature(method).parameters for word in WHO):
                yield f"{port}.{name}", Command(f"{port}.{name}", method)


COMMANDS: Final[Mapping[str, Command]] = dict(_commands())


class CapturedPort:
    """A driving port; every command is noted, and what became of it."""

    def __init__(self, name: str, port: Any, notes: Notes, numbers: Iterator[int]) -> None:
        self._name = name
        self._port = port
        self._notes = notes
        self._numbers = numbers

    def __getattr__(self, name: str) -> Any:
        """As the port."""
        found = getattr(self._port, name)
        command = COMMANDS.get(f"{self._name}.{name}")
        if command is None:
            return found

        async def ordered(*values: Any, **named: Any) -> Any:
            number = str(next(self._numbers))
            given = command.written(*values, **named)
            async with self._notes.turns.live(f"command {number}"):
                self._notes.note(
                    COMMAND, name=command.name, key=str(given[command.who]), body=given, code=number
                )
                try:
                    answer = await found(*values, **named)
                except TradesagaError as error:
                    was = type(error).__name__
                    self._notes.note("outcome", name=was, code=number, body=str(error))
                    raise
                self._notes.note("outcome", code=number)
                return answer

        return ordered


def captured_ports(control: AgentControl, notes: Notes | None) -> Mapping[str, Any]:
    """The driving ports of an agent; what is ordered there is noted, if anything is."""
    ports = ports_of(control)
    if notes is None:
        return ports
    numbers = count(1)
    return {name: CapturedPort(name, port, notes, numbers) for name, port in ports.items()}
