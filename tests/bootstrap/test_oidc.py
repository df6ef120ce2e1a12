"""Another issuer from the configuration: refused words, a missing library, and keys from a file."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.adapters.issuer import document, ec_key, public, rsa_key, token
from tradesaga.adapters.system import SystemClock
from tradesaga.bootstrap.oidc import oidc_callers
from tradesaga.config import load
from tradesaga.domain.errors import Invalid

SERVERS = {"DB_HOST": "db", "DB_PORT": "1", "NATS_URL": "nats://bus:4222"}


def environment(**keys: str) -> dict[str, str]:
    named = {
        "issuer": "https://idp.example", "audience": "tradesaga", "algorithms": '["ES256"]',
        "jwksUrl": "https://idp.example/keys", "scopes": '["trader=trade"]',
    } | keys  # fmt: skip
    before = "ORCHESTRATOR__SECURITY__OIDC__"
    return SERVERS | {before + name.upper(): value for name, value in named.items()}


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"algorithms": '["HS256"]'}, "algorithms"),
        ({"algorithms": '["RS256", "HS512"]'}, "algorithms"),
        ({"algorithms": '["none"]'}, "algorithms"),
        ({"algorithms": "[]"}, "algorithms"),
        ({"audience": ""}, "audience"),
        ({"issuer": ""}, "jwksUrl"),
        ({"jwksUrl": ""}, "jwksUrl"),
        ({"jwksUrl": "http://idp.example/keys"}, "jwksUrl"),
        ({"jwksUrl": "https://169.254.169.254/keys"}, "jwksUrl"),
        ({"jwksUrl": "https://ann:secret@idp.example/keys"}, "jwksUrl"),
        ({"jwksUrl": "file:///etc/keys"}, "jwksUrl"),
        ({"jwksFile": "keys.json"}, "jwksFile"),
        ({"scopes": "[]"}, "scopes"),
        ({"scopes": '["trader"]'}, "scopes"),
        ({"scopes": '["trader=all"]'}, "scopes"),
        ({"scopes": '["trader=trade", "trader=admin"]'}, "scopes"),
        ({"refreshInterval": "1000"}, "refreshInterval"),
        ({"lifeMax": "31536000000"}, "lifeMax"),
    ],
)
def test_what_would_open_the_door_is_refused_at_the_start(keys: dict[str, str], key: str) -> None:
    with pytest.raises(Invalid) as refused:
        load(None, environment(**keys))
    assert any(f"security.oidc.{key}" in problem for problem in refused.value.problems)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/keys", "http://localhost/k", "http://[::1]"]
)
def test_on_this_machine_keys_may_come_in_plain(url: str) -> None:
    assert load(None, environment(jwksUrl=url)).settings.security.oidc.jwks_url == url


async def test_without_an_issuer_there_is_none_and_no_library_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    async with AsyncExitStack() as stack:
        assert await oidc_callers(load(None, SERVERS).settings, stack) is None


async def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(sys.modules, "tradesaga.adapters.oidc", raising=False)
    async with AsyncExitStack() as stack:
        with pytest.raises(Invalid, match=r"pip install 'tradesaga\[security\]'"):
            await oidc_callers(load(None, environment()).settings, stack)


async def test_keys_come_from_a_file_which_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(document(public(ec_key("one"), "one")))
    settings = load(None, environment(jwksFile=str(file), jwksUrl="")).settings
    now = SystemClock().now().timestamp()
    async with AsyncExitStack() as stack:
        callers = await oidc_callers(settings, stack)
        assert callers is not None
        await callers.look()
        assert callers.caller(token(now), check=True) is not None
        file.write_bytes(document(public(ec_key("two"), "two")))
        await callers.look()
        assert callers.caller(token(now), check=True) is None
        rotated = token(now, key=ec_key("two"), head={"kid": "two"})
        assert callers.caller(rotated, check=True) is not None
        file.unlink()
        await callers.look()
        assert callers.caller(rotated, check=True) is not None, "the last keys stand"


@pytest.mark.parametrize("content", [None, b"", b"{}", b" " * 300_000])
async def test_a_file_without_use_is_told_at_the_start(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_bytes(content)
    await _refused(file)


async def test_a_file_without_a_key_for_the_algorithms_is_told(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(document(public(rsa_key(), "one")))
    await _refused(file)


async def _refused(file: Path) -> None:
    settings = load(None, environment(jwksFile=str(file), jwksUrl="")).settings
    async with AsyncExitStack() as stack:
        with pytest.raises(Invalid, match=r"security\.oidc\.jwksFile"):
            await oidc_callers(settings, stack)
