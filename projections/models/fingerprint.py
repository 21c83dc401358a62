"""A fingerprint of the code that makes a projection's rows: it changes when the rows of old events might come out differently."""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

from projections.projection import Projection

_PLAIN: Final = (str, bytes, int, float, bool, complex, type(None), type(...))


def fingerprint(projection: Projection) -> str:
    """Sixteen hex digits, the same in every process, on every machine and for every layout of the source.

    It sees the key, columns, types and categories; a select but for its spaces and comments; functions and row classes by their source but
    for comments, docstrings and formatting, with their defaults, what they close over, and the functions, classes and plain values that
    they name, of the top-level packages of what is declared; and the classes of the event types that it reads, with the steps that lead to
    them. It does not see other packages, what is reached through a module (`settings.LIMIT`) or an attribute, nor the data files that code
    reads: raise the version when those change.
    """
    form, categories = projection.form.determined_by(), projection.categories
    declared = (projection.key, str(projection.columns), projection.types, categories, *form, _events(projection))
    seen = _Text(_packages(declared))
    return hashlib.sha256("\n".join(seen.of(declared)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _events(projection: Projection) -> list[object]:
    """Of its event types what the events that it reads go through: the classes, and the steps that lead to them."""
    types, reads = projection.event_types, projection.form.reads(projection)
    if types is None:
        return []
    read = [of for of in types if reads is None or of.name in reads]
    stored = frozenset[str]().union(*(types.stored_names(of.name) for of in read))
    return [*(step for step in types.steps if reads is None or step.type in stored), *((of.name, of.cls) for of in read)]


class _Text:
    """Objects as lines of text. What was told once is named from then on, so that functions may call each other."""

    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages
        self._told: set[int] = set()

    def of(self, value: Any) -> Iterator[str]:
        if isinstance(value, _PLAIN):
            yield repr(value)
        elif isinstance(value, Mapping):
            yield from self._each("mapping", sorted(["\n".join([*self.of(key), *self.of(one)]) for key, one in value.items()]))
        elif isinstance(value, set | frozenset):
            yield from self._each("set", sorted("\n".join(self.of(one)) for one in value))
        elif isinstance(value, list | tuple):
            yield from self._each("list", ["\n".join(self.of(one)) for one in value])
        elif isinstance(value, partial):
            yield from self.of((value.func, value.args, value.keywords))
        elif isinstance(value, MethodType):
            yield from self.of((value.__func__, value.__self__))
        elif isinstance(value, FunctionType | type):
            yield from self._code(value)
        elif is_dataclass(value):
            yield from self.of((type(value).__qualname__, [getattr(value, field.name) for field in fields(value)]))
        elif callable(value) and type(value).__module__ != "builtins":
            yield from self.of((type(value), getattr(value, "__dict__", {})))
        else:                                      # of a kind that tells nothing lasting of itself: repr may hold an address
            yield f"{type(value).__module__}.{type(value).__qualname__}"

    def _each(self, kind: str, told: list[str]) -> Iterator[str]:
        yield f"{kind} of {len(told)}"
        yield from told

    def _code(self, value: FunctionType | type) -> Iterator[str]:
        if value.__module__.partition(".")[0] not in self._packages:
            yield f"{value.__module__}.{value.__qualname__}"
            return
        yield value.__qualname__                   # a script's module is called otherwise when it is imported
        if id(value) in self._told:
            return
        self._told.add(id(value))
        yield _source(value)
        for function in [value] if isinstance(value, FunctionType) else _methods(value):
            yield from self.of((function.__defaults__, function.__kwdefaults__))
            yield from self.of([_held(cell) for cell in function.__closure__ or ()])
            yield from self._named(function)

    def _named(self, function: FunctionType) -> Iterator[str]:
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__ and not inspect.ismodule(value := function.__globals__[name]):
                yield name
                yield from self.of(value)


def _packages(value: object) -> frozenset[str]:
    """The top-level packages that the declared functions and classes are of."""
    if isinstance(value, Mapping):
        return _packages([*value.values()])
    if isinstance(value, list | tuple):
        return frozenset().union(*map(_packages, value))
    if isinstance(value, partial):
        return _packages(value.func)
    if is_dataclass(value) and not isinstance(value, type):
        return _packages([getattr(value, field.name) for field in fields(value)])
    module = getattr(value, "__module__", None) if callable(value) else None
    return frozenset() if module in (None, "builtins") else frozenset([str(module).partition(".")[0]])


def _source(value: FunctionType | type) -> str:
    """As it would be written by Python itself; of a lambda those that begin on its line. Without a source, what it was compiled to."""
    try:
        tree = ast.parse(inspect.getsource(inspect.getmodule(value) or value))
        line = value.__code__.co_firstlineno if isinstance(value, FunctionType) else inspect.getsourcelines(value)[1]
        found = [node for node in ast.walk(tree) if _begins(node) == line and isinstance(node, _node_of(value))]
    except (OSError, TypeError, SyntaxError):
        found = []
    if not found:
        return _compiled(value.__code__) if isinstance(value, FunctionType) else repr(sorted(vars(value).get("__annotations__", {}).items(), key=str))
    return "\n".join(ast.unparse(_plain(node)) for node in found)


def _node_of(value: FunctionType | type) -> tuple[type[ast.AST], ...]:
    if isinstance(value, type):
        return (ast.ClassDef,)
    return (ast.Lambda,) if value.__name__ == "<lambda>" else (ast.FunctionDef, ast.AsyncFunctionDef)


def _begins(node: ast.AST) -> int | None:
    return min([getattr(node, "lineno", None) or 0, *(one.lineno for one in getattr(node, "decorator_list", []))]) or None


def _plain(tree: ast.AST) -> ast.AST:
    """Without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _compiled(code: CodeType) -> str:
    consts = [_compiled(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return repr((code.co_code, code.co_names, consts))


def _names(code: CodeType) -> set[str]:
    return {*code.co_names}.union(*(_names(one) for one in code.co_consts if isinstance(one, CodeType)))


def _methods(cls: type) -> list[FunctionType]:
    return [value for value in vars(cls).values() if isinstance(value, FunctionType) and value.__module__ == cls.__module__]


def _held(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:                             # a function that is not defined yet
        return None
