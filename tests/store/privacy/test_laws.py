"""Whatever is done, and in whatever order: nothing personal is ever in a file, and what was forgotten opens nowhere any more."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from projections import ReadModel, catch_up, typed_table
from store import Append, Event, KeyTable, history, load, load_all, open_store, rebuild_snapshots, snapshot, traces, verify, verify_snapshots
from tests.store.privacy.people import BORN, Address, Customer, Registered, Upgraded, customers, evolve, people, saved_customers

SUBJECTS = ["1", "2", "3"]
subjects = st.sampled_from(SUBJECTS)
table = typed_table(people, "Registered")


class Forgetting(RuleBasedStateMachine):
    """A warehouse of three customers. `said`: each stream's events as they were meant; `gone`: events whose subject was forgotten since."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.uri, self.copies = self.folder / "warehouse", list[Path]()
        self.stack = ExitStack()
        self.said: dict[str, list[list[Any]]] = {}
        self.values: dict[str, set[str]] = {subject: set() for subject in SUBJECTS}
        self.count = 0
        self.open(create=True)

    def open(self, create: bool = False) -> None:
        self.keys = KeyTable(self.uri)
        self.store: Any = self.stack.enter_context(open_store(self.uri, create=create, privacy=people.privacy(self.keys)))

    def teardown(self) -> None:
        """Law 1 at the end, and every byte as the log says."""
        self.stack.close()
        findings = verify(str(self.uri)).findings
        shutil.rmtree(self.folder)
        assert findings == []

    # What is done ------------------------------------------------------------------------------------------------

    def planted(self, subject: str) -> str:
        self.count += 1
        self.values[subject].add(value := f"Planted {self.count} \"of\" Zoë {subject}")
        return value

    def registration(self, subject: str) -> Registered:
        return Registered(subject, self.planted(subject), BORN, Address(self.planted(subject), "London"))

    def remember(self, subject: str, *events: Any) -> None:
        self.said.setdefault(subject, []).extend([event, False] for event in events)

    @rule(subject=subjects, how=st.sampled_from(["typed", "raw", "many", "table"]), events=st.integers(1, 3))
    def append(self, subject: str, how: str, events: int) -> None:
        made = [self.registration(subject) for _ in range(events)]
        raw = [people.event(one) for one in made]
        match how:
            case "typed":
                self.store.append(f"customer-{subject}", raw)
            case "raw":
                self.store.append(f"customer-{subject}", [Event("Registered", orjson.loads(bytes(one.data))) for one in raw])  # type: ignore[arg-type]
            case "many":
                self.store.append_many([Append(f"customer-{subject}", raw), Append("other-1", [Event("Upgraded", {"plan": "x"})])])
            case _:
                rows = [{"stream_id": f"customer-{subject}", "type": "Registered", "data": bytes(one.data).decode()} for one in raw]  # type: ignore[arg-type]
                self.store.append_table(pa.Table.from_pylist(rows))
        self.remember(subject, *made)

    @rule(subject=subjects)
    def upgrade(self, subject: str) -> None:
        self.store.append(f"customer-{subject}", [people.event(Upgraded("gold"))])
        self.remember(subject, Upgraded("gold"))

    @rule()
    def reopen(self) -> None:
        self.stack.close()
        self.open()

    @rule(what=st.sampled_from(["compact", "checkpoint", "maintain", "snapshots", "vacuum"]))
    def look_after(self, what: str) -> None:
        match what:
            case "snapshots":
                self.store.snapshots.maintain()
            case "vacuum":
                self.store.vacuum(0.0)
            case _:
                getattr(self.store, what)()

    @rule(subject=subjects)
    def save(self, subject: str) -> None:
        snapshot(self.store, saved_customers, subject)

    @rule()
    def save_all(self) -> None:
        rebuild_snapshots(self.store, saved_customers)

    @rule()
    def project(self) -> None:
        catch_up(self.store, ReadModel.under(str(self.uri), table))

    @rule(subject=subjects)
    def rotate(self, subject: str) -> None:
        self.store.privacy.rotate(subject, by="me", why="a test")

    @precondition(lambda self: len(self.copies) < 2)
    @rule()
    def copy(self) -> None:
        """Whatever lies there, as somebody may have it who took it away; but not the keys."""
        self.copies.append(place := self.folder / f"copy{len(self.copies)}")
        shutil.copytree(self.uri, place, ignore=shutil.ignore_patterns("keys"))

    @rule(subject=subjects)
    def forget(self, subject: str) -> None:
        materials = [self.keys.find([id])[id].material for id in self.ids(subject)]
        self.store.privacy.forget(subject, by="me", why="a test")
        for one in self.said.get(subject, []):
            one[1] = True
        assert not (materials and traces(str(self.uri), materials))

    def ids(self, subject: str) -> list[Any]:
        newest = self.keys.newest([subject])[subject].id
        every = [newest._replace(n=n) for n in range(1, newest.n + 1)]
        return list(self.keys.find(every))

    # What always holds -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_personal_is_in_any_file(self) -> None:
        planted = [value for values in self.values.values() for value in values]
        assert traces(str(self.folder), [*planted, "1815-12-10"]) == []

    @invariant()
    def every_way_to_a_state_gives_what_may_be_known(self) -> None:
        """Law 6, with and without snapshots."""
        for subject in SUBJECTS:
            state = Customer()
            for event, gone in self.said.get(subject, []):
                state = evolve(state, forgotten(event) if gone else event)
            for aggregate in (customers, saved_customers):
                assert load(self.store, aggregate, subject).state == state
            steps = history(self.store, customers, subject)
            assert (steps[-1].state if steps else Customer()) == state
        assert list(verify_snapshots(self.store, saved_customers, SUBJECTS)) == []

    @invariant()
    def copies_open_no_more_than_the_warehouse(self) -> None:
        known = {value for subject, values in self.values.items() for value in values}
        for place in self.copies:
            with open_store(place, privacy=people.privacy(self.keys)) as copied:
                names = {name for one in load_all(copied, customers) for name in one.state.names}
            may_be_known = {event.name for said in self.said.values() for event, gone in said if not gone and isinstance(event, Registered)}
            assert names & known <= may_be_known


def forgotten(event: Any) -> Any:
    if not isinstance(event, Registered):
        return event
    return Registered(event.customer, "[forgotten]", None, Address("[redacted]", "London"), event.plan)


Forgetting.TestCase.settings = settings(max_examples=6, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck))
TestForgetting = Forgetting.TestCase
