"""All steps together: from every older shape there is a way to a newest one, and only one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from store.errors import EventTypesError
from store.event_types.step import Rename, Shaped, ShapeName, Split, Step, Upcast


class Rungs(NamedTuple):
    """The versions of a type that may be in the log: `first` to `newest`, `newest` being the shape of its class."""

    first: int
    newest: int


class MisstepError(Exception):
    """A step could not be taken: always told on as an UnreadableEventError, which knows the event."""


class Ladder:
    """EventTypesError, with the remedy: a step is missing, stands twice, leads nowhere, or in a circle."""

    def __init__(self, types: Mapping[str, Rungs], steps: Sequence[Step]) -> None:
        if not isinstance(steps, Iterable):
            raise EventTypesError(f"steps {steps!r}", "are not a list", "put it in a list, even one alone")
        steps = tuple(steps)
        self._types = dict(types)
        self._steps: dict[ShapeName, Step] = {}
        for step in steps:
            self._add(step)
        self.newest = {name: rungs.newest for name, rungs in types.items()}
        """The version below which a type's events are lifted; of a type that is no more, one above its last."""
        for name, version in self._steps:
            if name not in types:
                self.newest[name] = max(self.newest.get(name, 0), version + 1)
        for name, version in self._missing():
            how = _HOW_TO_FILL if name in types else _HOW_TO_FILL_RETIRED
            raise EventTypesError(f"event type {name!r}", f"has no step from version {version}", how.format(name=name, version=version))
        for step in steps:
            self._check_targets(step)
        for step in steps:
            self._check_end((step.type, step.version), ())
        self._stored: defaultdict[str, set[str]] = defaultdict(set)
        for shape in self._steps:
            for end, _ in self.ends(shape):
                self._stored[end].add(shape[0])

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps.values())

    def lifts(self, shape: ShapeName) -> bool:
        """Is this an older shape? It is lifted, or cannot be read. Newer and unknown ones are left as they are."""
        return shape[1] < self.newest.get(shape[0], 0)

    def lift(self, shape: ShapeName, data: dict[str, Any]) -> list[Shaped]:
        """The newest shapes that this data becomes, in order. MisstepError says which step failed, and why."""
        step = self._steps.get(shape)
        if step is None:
            if self.lifts(shape):
                raise MisstepError(f"{shape[0]} {shape[1]} is older than its first version, so no step lifts it")
            return [(*shape, data)]
        taken = _taken(step, data)
        if len(taken) > 1:                         # they may share what they were made of, which a further step may change
            taken = [(name, version, deepcopy(changed) if (name, version) in self._steps else changed) for name, version, changed in taken]
        return [newest for name, version, changed in taken for newest in self.lift((name, version), changed)]

    def older(self) -> Iterator[ShapeName]:
        """Every shape that is lifted."""
        return iter(self._steps)

    def stored_names(self, name: str) -> frozenset[str]:
        """What events that are read as this type may be called in the log: its own name, and those that steps lead here from."""
        return frozenset([name, *self._stored.get(name, ())])

    def ends(self, shape: ShapeName) -> tuple[ShapeName, ...]:
        """The newest shapes that the steps from here lead to, each once; the shape itself if none starts here."""
        step = self._steps.get(shape)
        if step is None:
            return (shape,)
        return tuple(dict.fromkeys(end for target in step.targets for end in self.ends(target)))

    def _add(self, step: Step) -> None:
        subject = _checked(step)
        if (step.type, step.version) in self._steps:
            raise EventTypesError(subject, "stands twice", "give one step from each version, of any kind")
        rungs = self._types.get(step.type)
        if rungs is not None and step.version >= rungs.newest:
            problem = f"starts from the current version ({rungs.newest}) or a newer one"
            raise EventTypesError(subject, problem, "raise schema_version, or drop the step")
        if rungs is not None and step.version < rungs.first:
            raise EventTypesError(subject, f"starts below first_version ({rungs.first})", "lower first_version, or drop the step")
        self._steps[step.type, step.version] = step

    def _missing(self) -> Iterator[ShapeName]:
        for name, newest in self.newest.items():
            first = self._types[name].first if name in self._types else 1
            yield from ((name, version) for version in range(first, newest) if (name, version) not in self._steps)

    def _check_targets(self, step: Step) -> None:
        for name, version in step.targets:
            rungs = self._types.get(name)
            known = (name, version) in self._steps or (rungs is not None and rungs.first <= version <= rungs.newest)
            if not known:
                problem = f"leads to {name!r} {version}, which is not known"
                raise EventTypesError(f"step from {step.type!r} {step.version}", problem, "register that type and version, or add a step from there")

    def _check_end(self, shape: ShapeName, passed: tuple[ShapeName, ...]) -> None:
        if shape in passed:
            way = " -> ".join(f"{name} {version}" for name, version in (*passed[passed.index(shape) :], shape))
            raise EventTypesError(f"step from {shape[0]!r} {shape[1]}", f"leads in a circle ({way})", "let one of them lead to a newest version")
        if (step := self._steps.get(shape)) is not None:
            for target in step.targets:
                self._check_end(target, (*passed, shape))


_HOW_TO_FILL = "add Upcast({name!r}, {version}, …) to steps, or say first_version= if older ones never existed"
_HOW_TO_FILL_RETIRED = "add Upcast({name!r}, {version}, …) or another step from there, to steps, even if the log holds none of it"


def _checked(step: object) -> str:
    """How an error names it. EventTypesError: it could not be taken, whatever the types are."""
    if not isinstance(step, Upcast | Rename | Split):
        raise EventTypesError(f"step {step!r}", "is no step", "give Upcast, Rename or Split objects")
    subject = f"step from {step.type!r} {step.version!r}"
    if isinstance(step.version, bool) or not isinstance(step.version, int) or step.version < 1:
        raise EventTypesError(subject, "has no version to start from", "versions count from 1")
    if not callable(step.change) and not (isinstance(step, Rename) and step.change is None):
        raise EventTypesError(subject, f"has the change {step.change!r}, which is not a function", "give a function from the old data to the new")
    if isinstance(step, Split) and not (step.into and all(isinstance(target, tuple) and len(target) == 2 for target in step.into)):
        raise EventTypesError(subject, f"declares no types, but {step.into!r}", "name them: into=((type, version), …)")
    return subject


def _taken(step: Step, data: dict[str, Any]) -> list[tuple[str, int, dict[str, Any]]]:
    told = f"the step from {step.type} {step.version}"
    targets, taken = step.targets, []
    try:
        for name, version, changed in step.taken(data):
            if (name, version) not in targets:
                raise MisstepError(f"{told} gave {name!r} {version!r}, which it does not declare in into=")
            if changed.__class__ is not dict:      # asked first, as it is the quicker question
                if not isinstance(changed, Mapping):
                    raise MisstepError(f"{told} gave {changed!r}, which is not a mapping")
                changed = dict(changed)
            taken.append((name, version, changed))
    except MisstepError:
        raise
    except Exception as error:                     # it is the user's function: it may raise anything
        raise MisstepError(f"{told} raised {type(error).__name__}: {error}") from error
    return taken
