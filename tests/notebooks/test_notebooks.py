"""The notebooks run from top to bottom, show what they say, and lie in the repository as they were written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from store import open_store
from tests.notebooks.page import Page, drawn
from tests.notebooks.stripped import NOTEBOOKS, stripped

Run = Callable[[str], Page]

TOUR, TRAVEL, YEAR, DEBUGGING = NAMES = "1-tour", "2-time-travel", "3-a-year-of-flights", "4-debugging-a-projection"


def test_there_are_four_in_the_order_of_reading() -> None:
    assert tuple(path.stem for path in NOTEBOOKS) == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_nothing_but_what_was_written_is_kept(path: Path) -> None:
    remedy = "run python -m tests.notebooks.stripped"
    assert path.read_text() == stripped(path), remedy


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_link_leads_to_a_notebook(path: Path) -> None:
    assert set(re.findall(r"\]\((.*?)\)", path.read_text())) <= {other.name for other in NOTEBOOKS}


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs_and_shows_its_value_once(run: Run, name: str) -> None:
    page = run(name)
    assert [f"{error.ename}: {error.evalue}" for error in page.outputs("error")] == []
    assert page.outputs("display_data") == []
    assert [stream.text for stream in page.outputs("stream") if stream.name == "stderr" and not stream.text.startswith("parked")] == []


@pytest.mark.parametrize(("name", "plots"), [(TRAVEL, 1), (YEAR, 5)])
def test_plots_hold_the_data_that_they_draw(run: Run, name: str, plots: int) -> None:
    found = run(name).plots()
    assert len(found) == plots
    for plot in found:
        assert all(plot["datasets"].values())
        fields = list(drawn(plot))
        assert len(fields) >= 3
        assert [field for field in fields if plot["datasets"][field[0]][0].get(field[1]) is None] == []
        look = plot["config"]              # on white, also where a dark page would make text white that says no colour
        assert look["background"] == "white"
        assert all(look[part].get("labelColor", look[part].get("color")) for part in ("axis", "legend", "header", "title"))
        assert "title" in plot


def test_the_tour_tells_what_happens(run: Run) -> None:
    page = run(TOUR)
    assert "899 flights of 8 January, 2,696 events" in page.prose
    assert page.told("load_history(store") == "2696"
    assert "│ FlightScheduled ┆ 899" in page.told("order by events desc\").pl()")
    assert "is at version 1, expected 0" in page.told("WrongExpectedVersionError")
    assert page.told("partial(depart, event=to_miami)") == "refused: it is in the air already, as UA 1545 to IAH\n"
    states = [re.search(r"(up to date|new|behind)", shown)[0] for shown in page.pages() if "head of the log" in shown]
    assert states == ["new", "behind", "up to date"]
    assert any('class="changed">in the air' in shown for shown in page.pages())


def test_time_travel_tells_what_happened(run: Run) -> None:
    page = run(TRAVEL)
    assert page.told("busiest_day(store)") == "('N329JB', '2013-02-02')"
    assert "aircraft-N329JB · versions 81 to 92" in page.told("whole = history")
    assert "Five departures" in page.prose
    [departures] = page.plots()[0]["datasets"].values()
    assert len(departures) == 5
    assert "there were 188 in the air; a week later, in the blizzard, 49" in page.prose
    assert re.findall(r"│ (\d+) +┆ \d+ +┆ \d+", page.told("FLEET = ")) == ["188", "49"]
    assert "1 changed (departed 1, departed_late 1, departure_delay_min 1)" in page.told("what_if(store")
    assert "'flown': (276, 277)" in page.told("aircraft.evolve(")


def test_a_year_of_flights_tells_what_happened(run: Run) -> None:
    page = run(YEAR)
    assert "328,521 flights departed, 22 % of them more than 15 minutes late, and 8,255 were cancelled" in page.prose
    assert re.findall(r"│ (\d+) +┆ \d+ +┆ ([\d.]+) +┆ (\d+)", page.told("as late_share")) == [("328521", "0.215432", "8255")]
    calendar, hours, carriers, aloft, places = (next(iter(plot["datasets"].values())) for plot in page.plots())
    assert "On the worst day 74 % were in trouble, on the best, a Saturday in November, 6 %" in page.prose
    by_trouble = sorted(calendar, key=lambda day: day["troubled"])
    # With the hour: a page takes a day alone for one of London, and shows the day before to America.
    assert (len(calendar), by_trouble[0]["day"], by_trouble[-1]["day"]) == (365, "2013-11-09T00:00:00", "2013-03-08T00:00:00")
    assert (round(by_trouble[0]["troubled"], 2), round(by_trouble[-1]["troubled"], 2)) == (0.06, 0.74)
    assert max(hour["late"] for hour in hours if hour["hour"] == 6) < 20 < 60 < min(hour["late"] for hour in hours if hour["hour"] == 20)
    assert carriers[0]["name"] == "ExpressJet Airlines Inc."
    evening = [row["aircraft"] for row in aloft if row["shown"].startswith("2013-02-08T20")]
    assert max(evening[:3]) < 20 < 150 < min(evening[3:])
    assert len(places) > 80


def test_debugging_finds_both_bugs(run: Run) -> None:
    page = run(DEBUGGING)
    assert "failed on the event at position 3211 (stream 'aircraft-N14543'" in page.told("halted = error")
    assert "delay_min=None" in page.told("[event] = flight_types.decode")
    states = [re.search(r"(halted|up to date)", shown)[0] for shown in page.pages() if "head of the log" in shown]
    assert states == ["halted", "up to date", "up to date"]
    wrong, right = (re.findall(r"HA +┆ (2013-02-\d\d)", page.told(source)) for source in ("hawaiian(second)", "hawaiian(third)"))
    assert (wrong[0], wrong[-1]) == ("2013-02-05", "2013-02-11")
    assert (right[0], right[-1], len(right)) == ("2013-02-04", "2013-02-10", 7)
    assert "local_time: 14:40" in page.told("Timeline(why(store, second")
    assert re.findall(r"┆ (\d) +┆ -?\d+ +┆ \d+ +│", page.told("pl.concat(followed)")) == ["1", "2", "3"]


def test_they_leave_the_log_as_it_was(run: Run, warehouse: Path) -> None:
    for name in (TRAVEL, YEAR):
        run(name)
    with open_store(warehouse) as store:
        assert store.head() == 1_002_790
