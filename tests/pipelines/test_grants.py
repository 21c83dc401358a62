"""The file of grants: good ones are read, and a bad one refuses all, with words that say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.grants import GrantsError, grant_named, read_grants
from store import EVERY, Grant

GOOD = f"""
[sales]
tokens = ["{'a' * 64}", "{'b' * 64}"]
categories = ["order"]
types = ["OrderPlaced"]
columns = ["position", "type"]
data = {{ OrderPlaced = ["amount"], "*" = "*" }}
tables = {{ totals = "*", streams = ["stream_id"] }}

[nothing]
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "grants.toml").write_text(text)
    return tmp_path / "grants.toml"


def test_a_file_of_grants_is_read(tmp_path: Path) -> None:
    grants = read_grants(written(tmp_path, GOOD))
    sales = Grant(
        categories=["order"], types=["OrderPlaced"], columns=["position", "type"], data={"OrderPlaced": ["amount"], EVERY: EVERY},
        tables={"totals": EVERY, "streams": ["stream_id"]},
    )  # fmt: skip
    assert {name: granted.grant for name, granted in grants.items()} == {"sales": sales, "nothing": Grant()}
    assert grants["sales"].tokens == ("a" * 64, "b" * 64)
    assert grant_named(tmp_path / "grants.toml", "sales") == sales


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("other = 1", "is no table"), ("[other", "is no TOML"), ("[other]\ncategory = ['order']", "'category' is no field"),
        ("[other]\ncategories = 'order'", "is no list of names"), ("[other]\ntokens = ['plain']", "64 lower-case hex"),
        ("[other]\ntokens = 'plain'", "64 lower-case hex"), ("[other]\ncolumns = ['data']", "by `data`"),
        (f"[a]\ntokens = ['{'a' * 64}']\n[b]\ntokens = ['{'a' * 64}']", "a token in common"), ("[other]\n[other]", "is no TOML"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_as_a_whole(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(GrantsError, match=told) as refused:
        read_grants(written(tmp_path, text + GOOD))
    assert "grants.toml" in str(refused.value)
    assert "plain" not in str(refused.value), "it may be a token"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(GrantsError, match="ALLUVIUM_GRANTS"):
        read_grants(tmp_path / "none.toml")


def test_a_grant_that_nobody_named_is_told(tmp_path: Path) -> None:
    with pytest.raises(GrantsError, match=r"no grant 'other': it has sales, nothing"):
        grant_named(written(tmp_path, GOOD), "other")
