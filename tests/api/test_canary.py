"""A secret that gets into errors, paths, headers and bodies comes out of none of them."""

from __future__ import annotations

import io
import logging

import pytest
import structlog

from tests.api.fakes import Api
from tradesaga.adapters import logging as log_output
from tradesaga.domain.access import PREFIX

CANARY = PREFIX + "CANARYcanaryCANARYcanaryCANARYcanaryCANARYc"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"refused with Authorization: Bearer {CANARY}"),
        ConnectionError(f"postgresql://tradesaga:{CANARY}@db/x"),
        ValueError({"headers": {"authorization": CANARY}}),
        KeyError(CANARY),
    ],
)
async def test_it_is_in_no_answer_and_in_no_log_line(
    api: Api, error: Exception, form: log_output.Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_output.configure(form=form, stream=stream)
    for module in ("problems._log", "doorman.log"):  # they have kept the loggers of before
        monkeypatch.setattr(f"tradesaga.api.{module}", structlog.get_logger())
    api.operations.error = error
    headers = {"X-Secret": CANARY, "Idempotency-Key": "k"}
    said = [
        await api.client.post("/api/v1/agent/stop", json={"reason": CANARY}, headers=headers),
        await api.client.get("/api/v1/agent/status", headers={"Cookie": CANARY}),
    ]
    said.append(
        await api.client.get("/api/v1/cycles", headers={"Authorization": f"Bearer {CANARY}"})
    )
    structlog.reset_defaults()
    for name in log_output.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    logging.captureWarnings(capture=False)
    log = stream.getvalue().decode()
    assert log
    assert "CANARY" not in log
    for response in said:
        assert response.status_code in (401, 500)
        assert "CANARY" not in response.text + str(response.headers)
    assert "CANARY" not in repr(api.store.kept)
    assert "CANARY" not in repr(api.metrics.errors), "the labels of metrics"
