"""Commands on positions: close one by an operator's exit.

It is in the audit log with its reason before the command ends; `sagas watch ID` waits for its end.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

from cyclopts import App, Parameter

from tradesaga.cli.asking import tell
from tradesaga.cli.client import Server, call
from tradesaga.cli.saga_rendering import sagas_text

HERE: Final = Server()

positions = App(name="positions", help="Close a position.")


@positions.command(name="close")
async def close(
    symbol: str,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why, for the audit log; not blank.")],
    server: Server = HERE,
) -> int:
    """Cancel own entries of a symbol, then sell or buy back what is held of it.

    Works while the agent is stopped, too; outside of the session, or when a rule denies it, it is
    refused with exit code 4. Prints the sagas that do it.

    Parameters
    ----------
    symbol
        The symbol of the position.
    """
    path = f"/positions/{quote(symbol, safe='')}/close"
    return await tell(server, call(server, "POST", path, fields={"reason": reason}), sagas_text)
