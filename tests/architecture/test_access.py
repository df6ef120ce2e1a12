"""No operation without a scope: what changes something and is not in the table is closed."""

from __future__ import annotations

import pytest
from litestar.handlers import HTTPRouteHandler

from tradesaga.api.app import OPERATIONS
from tradesaga.api.scopes import NEEDED, needed


@pytest.mark.parametrize("handler", OPERATIONS, ids=lambda handler: str(handler.operation_id))
def test_every_operation_that_is_no_reading_has_a_scope(handler: HTTPRouteHandler) -> None:
    methods = frozenset(map(str, handler.http_methods))
    assert needed(str(handler.operation_id), methods), (
        f"{handler.operation_id} has no scope: write it into the table of api/scopes.py"
    )


def test_the_table_names_operations_that_exist() -> None:
    assert set(NEEDED) <= {str(handler.operation_id) for handler in OPERATIONS}
