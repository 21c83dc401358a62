"""How projections stand is shown to people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from projections import Projection, ReadModel, catch_up, status, statuses, streams
from store import Event, MemoryEventStore


def test_a_lag_is_shown_in_events_and_time(store: MemoryEventStore, accounts: Projection, tmp_path: Path) -> None:
    catch_up(store, ReadModel.under(str(tmp_path), accounts))
    assert "✓ up to date" in str(status(store, str(tmp_path), accounts))
    store.append("account-0", [Event("Renamed", {}), Event("Renamed", {})])
    told = status(store, str(tmp_path), accounts)
    title, _, row = str(told).splitlines()
    assert title == "1 projection · head of the log 11"
    assert row.split()[:5] == ["accounts", "…", "behind", "9", "2"]
    assert row.split()[6] in ("ms", "s")
    assert "81.8%" in told._repr_html_()


def test_several_are_one_table_in_the_order_given(store: MemoryEventStore, accounts: Projection, tmp_path: Path) -> None:
    catch_up(store, ReadModel.under(str(tmp_path), accounts))
    told = statuses(store, str(tmp_path), [streams, accounts])
    assert [(one.projection, one.state) for one in told] == [("streams", "new"), ("accounts", "up to date")]
    assert [line.split()[0] for line in repr(told).splitlines()[2:]] == ["streams", "accounts"]
    assert told._repr_html_().count("<tr>") == 3


def test_why_one_does_not_go_on_is_told_and_cannot_write_the_page(store: MemoryEventStore, accounts: Projection, tmp_path: Path) -> None:
    model = ReadModel.under(str(tmp_path), accounts)
    catch_up(store, model)
    model.pause("<script>alert(1)</script>")
    told = status(store, str(tmp_path), accounts)
    assert "accounts: <script>alert(1)</script>" in str(told)
    assert "accounts: &lt;script&gt;" in told._repr_html_()
    assert "<script" not in told._repr_html_()
    newer = status(store, str(tmp_path), replace(accounts, version=2))
    assert "✗ needs rebuild" in str(newer)


def test_no_events_and_no_projections_are_no_division_by_nothing(accounts: Projection, tmp_path: Path) -> None:
    assert "0" in str(status(MemoryEventStore(), str(tmp_path), accounts))
    assert repr(statuses(MemoryEventStore(), str(tmp_path), [])) == "0 projections · head of the log 0"
