"""What values show of themselves is bounded, and shows what they hold as signs only."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest

from store import Cell, Display, EventTypes, span
from store.display import brief, ends

EVIL = "<script>alert('x')</script>\x1b[2J\u202e & \"quoted\""


class Tags(HTMLParser):
    """The tags of a page, and the attributes of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_markup_and_control_signs_are_shown_as_signs_wherever_they_are() -> None:
    shown = Display(title=EVIL, columns=[EVIL], rows=[[Cell(EVIL)]], notes=[EVIL])
    page = shown.html()
    assert page.count("&lt;script&gt;") == 4
    assert {tag for tag, _ in Tags(page).found} == {"div", "style", "p", "table", "thead", "tbody", "tr", "th", "td"}
    for text in (page, shown.text()):
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_what_looks_like_a_style_of_the_terminal_is_text() -> None:
    assert "[bold]a[/bold]" in Display(title="", columns=["a"], rows=[[Cell("[bold]a[/bold]")]]).text()


def test_a_long_table_shows_its_ends_and_says_how_many_are_left_out() -> None:
    numbers, left_out = ends(100_000)
    assert (numbers, left_out) == ([*range(10), *range(99_990, 100_000)], 99_980)
    shown = Display(title="", columns=["n"], rows=[[Cell(str(number))] for number in numbers], left_out=left_out)
    assert shown.text().split()[10:16] == ["9", "…", "99,980", "more", "99990", "99991"]
    assert len(Tags(shown.html()).named("tr")) == 1 + 10 + 1 + 10
    assert ends(21) == (list(range(21)), 0)
    assert ends(22)[1] == 2


def test_a_mark_is_told_without_colour_too() -> None:
    shown = Display(title="", columns=["a", "b"], rows=[[Cell("up", "good"), Cell("down", "wrong")]])
    assert "✓ up" in shown.text()
    assert "✗ down" in shown.text()
    assert [cell.get("class") for cell in Tags(shown.html()).named("td")] == ["good", "wrong"]


class ZMQInteractiveShell:
    """Rich takes a process with a shell of this name for a notebook."""


@pytest.mark.parametrize("text", [EventTypes().catalogue().__str__, Display(title="", columns=["a"], rows=[[Cell("1")]]).text])
def test_text_made_in_a_notebook_shows_nothing_by_itself(
    text: Callable[[], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    assert text()
    assert capsys.readouterr().out == ""


def test_numbers_stand_to_the_right_and_a_share_is_a_bar() -> None:
    page = Display(title="", columns=["a", "n"], rows=[[Cell("x"), Cell("1", share=0.25)]], numbers=["n"]).html()
    [text, number] = Tags(page).named("td")
    assert (text, number["class"]) == ({}, "number")
    assert "25.0%" in str(number["style"])


def test_a_cell_is_cut_in_both() -> None:
    shown = Display(title="", columns=["a"], rows=[[Cell("x" * 500)]])
    assert "x" * 119 + "…<" in shown.html()
    assert "x" * 119 + "…" in shown.text()
    assert "x" * 120 not in shown.html() + shown.text()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "–"),
        ("two\n lines", "two lines"),
        (datetime(2013, 2, 8, 12, tzinfo=timezone(timedelta(hours=-5))), "2013-02-08 17:00:00"),
        ({"a": 1, "b": {"c": None}}, "a: 1, b: c: –"),
        ([1, "b"], "[1, 'b']"),
        ("x" * 1_000, "x" * 119 + "…"),
        (2013, "2013"),
    ],
)
def test_a_value_is_told_in_few_words(value: object, told: str) -> None:
    assert brief(value) == told


def test_a_million_items_are_told_by_their_first() -> None:
    assert len(brief(list(range(1_000_000)))) == 120


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "+0 ms"), (0.25, "+250 ms"), (1.5, "+1.5 s"), (75, "+1 min 15 s"), (3_600, "+1 h"), (100_000, "+1 d 3 h"), (-60, "−1 min")],
)
def test_a_length_of_time_has_two_units(seconds: float, told: str) -> None:
    assert span(timedelta(seconds=seconds)) == told


def test_nothing_is_shown_as_its_title() -> None:
    shown = Display(title="no events", columns=["a"], rows=[])
    assert shown.text() == "no events"
    assert Tags(shown.html()).named("table") == []
    assert brief(datetime(2013, 1, 1, tzinfo=UTC)) == "2013-01-01 00:00:00"
