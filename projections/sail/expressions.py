"""Expressions of DuckDB, said for Sail: those which tests have proven to give the same, and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from projections.sail.casts import cast, or_doubted, parsed
from projections.sail.extracts import Extracts
from projections.sail.functions import FUNCTIONS, Call
from projections.sail.literals import INTEGERS, NULL, digits, literal, sail_type
from projections.sail.select import Node, Select, Unproven, columns_in
from store import EVENTS

_COMPARES: Final = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_LARGEST: Final = 20_000
"""Characters of one expression: what fails on overflow names its operands twice, so that depth costs."""


class Expressions:
    """Of one select. `extracts`: the fields that they read; `zones`: in which they read times."""

    def __init__(self, select: Select) -> None:
        self._select, self.extracts = select, Extracts()
        self.zones: set[str] = set()

    def sql(self, node: Node) -> str:
        """Gives what DuckDB gives, or fails with DOUBT. Unproven: it is not known to."""
        if sail_type(self._kind(node)) is None and self._kind(node) != NULL:
            raise self._unproven(node)
        known: dict[str, Callable[[Node], str | None]] = {
            "CONSTANT": self._constant,
            "COLUMN_REF": self._column_ref,
            "CAST": self._cast,
            "COMPARISON": self._comparison,
            "BETWEEN": self._between,
            "CONJUNCTION": self._conjunction,
            "CASE": self._case,
            "OPERATOR": self._operator,
            "FUNCTION": self._function,
        }
        said = known.get(node["class"], self._none)(node)
        if said is None or len(said) > _LARGEST:
            raise self._unproven(node)
        return str(said)

    def cast(self, node: Node, to: str) -> str:
        """The same, cast as DuckDB would."""
        kind = self._kind(node)
        said = self._of_text(node, to) if kind == "VARCHAR" and to != "VARCHAR" else cast(self.sql(node), kind, to)
        if said is None:
            raise Unproven(f"{self._select.text(node)} as {to}")
        return said

    def _of_text(self, node: Node, to: str) -> str | None:
        if (path := self._json(node)) is not None:
            return self.extracts.field(*path, to)
        value = self.sql(node)
        said = parsed(value, to)
        return None if said is None else or_doubted(said, value, f"a text as {to}")

    def _constant(self, node: Node) -> str:
        return literal(self._kind(node), self._select.value_of(node))

    def _column_ref(self, node: Node) -> str | None:
        name = ".".join(node["column_names"])
        return name if name in EVENTS.names else None

    def _cast(self, node: Node) -> str | None:
        if node["try_cast"]:
            return None
        if node["child"]["class"] == "CONSTANT":
            return literal(self._kind(node), self._select.value_of(node))
        return self.cast(node["child"], self._kind(node))

    def _comparison(self, node: Node) -> str | None:
        compare, sides = _COMPARES.get(node["type"]), (node["left"], node["right"])
        return None if compare is None or not self._alike(sides) else f"({self.sql(sides[0])} {compare} {self.sql(sides[1])})"

    def _between(self, node: Node) -> str | None:
        if not self._alike(sides := (node["input"], node["lower"], node["upper"])):
            return None
        value, lower, upper = map(self.sql, sides)
        return f"({value} >= {lower} and {value} <= {upper})"

    def _conjunction(self, node: Node) -> str:
        word = " and " if node["type"] == "CONJUNCTION_AND" else " or "
        return f"({word.join(self._true(child) for child in node['children'])})"

    def _case(self, node: Node) -> str:
        return self._cases(self._kind(node), [(check["when_expr"], check["then_expr"]) for check in node["case_checks"]], node["else_expr"])

    def _cases(self, to: str, checks: Sequence[tuple[Node, Node]], otherwise: Node) -> str:
        said = " ".join(f"when {self._true(when)} then {self._branch(then, to)}" for when, then in checks)
        return f"case {said} else {self._branch(otherwise, to)} end"

    def _operator(self, node: Node) -> str | None:
        children = node["children"]
        match node["type"]:
            case "OPERATOR_NOT":
                return f"(not {self._true(children[0])})"
            case "OPERATOR_IS_NULL":
                return f"({self.sql(children[0])} is null)"
            case "OPERATOR_IS_NOT_NULL":
                return f"({self.sql(children[0])} is not null)"
            case "OPERATOR_COALESCE":
                return f"coalesce({', '.join(self._branch(child, self._kind(node)) for child in children)})"
            case "COMPARE_IN" if self._alike(children):
                return f"({self.sql(children[0])} in ({', '.join(map(self.sql, children[1:]))}))"
            case "ARRAY_SLICE":
                return self._slice(*children) if len(children) == 3 and self._kind(children[0]) == "VARCHAR" else None
        return None

    def _function(self, node: Node) -> str | None:
        name, arguments = node["function_name"].lower(), [argument["expression"] for argument in node["arguments"]]
        if node["filter"] or node["distinct"] or node["order_bys"]["orders"] or any(argument["name"] for argument in node["arguments"]):
            return None
        if (path := self._json(node)) is not None:
            return self.extracts.field(*path, "VARCHAR")
        if name == "if" and len(arguments) == 3:
            return self._cases(self._kind(node), [(arguments[0], arguments[1])], arguments[2])
        if name not in FUNCTIONS or not arguments:
            return None
        kinds, sides = tuple(map(self._kind, arguments)), tuple(map(self.sql, arguments))
        fixed = tuple(None if any(columns_in(argument)) else self._select.value_of(argument) for argument in arguments)
        said = FUNCTIONS[name](Call(name, self._kind(node), kinds, sides, fixed))
        if name == "timezone" and said is not None:
            self.zones.add(str(fixed[0]))
        return said

    def _slice(self, text: Node, begin: Node, end: Node) -> str | None:
        first = 1 if _is_open(begin) else self._number(begin)
        last = None if _is_open(end) else self._number(end)
        if first < 1 or (last is not None and last < first):
            return None
        return f"substring({self.sql(text)}, {first}{'' if last is None else f', {last - first + 1}'})"

    def _true(self, node: Node) -> str:
        if self._kind(node) not in ("BOOLEAN", NULL):
            raise self._unproven(node)
        return self.sql(node)

    def _branch(self, node: Node, to: str) -> str:
        """One of the values of which one is taken: DuckDB casts them to one type, which nothing but integers and null need."""
        kind = self._kind(node)
        if kind not in (to, NULL) and not (kind in INTEGERS and to in INTEGERS):
            raise Unproven(f"{self._select.text(node)} as {to}")
        return self.cast(node, to) if kind != to else self.sql(node)

    def _alike(self, nodes: Sequence[Node]) -> bool:
        """Are they compared without a cast, and in one order?"""
        kinds = {"BIGINT" if kind in INTEGERS else kind for kind in map(self._kind, nodes)} - {NULL}
        return len(kinds) == 1 and not any(digits(kind) for kind in kinds)

    def _json(self, node: Node) -> tuple[str, str] | None:
        """Column and path of `column ->> path`."""
        if node["class"] != "FUNCTION" or node["function_name"].lower() not in ("->>", "json_extract_string") or len(node["arguments"]) != 2:
            return None
        column, path = (argument["expression"] for argument in node["arguments"])
        if column["class"] != "COLUMN_REF" or self._kind(column) != "VARCHAR" or self._kind(path) != "VARCHAR" or any(columns_in(path)):
            return None
        return str(column["column_names"][0]), self._fixed(path) or ""

    def _fixed(self, node: Node) -> str | None:
        """The value of what no event changes."""
        if any(columns_in(node)):
            raise self._unproven(node)
        self.sql(node)                             # and of nothing else, such as a clock
        value = self._select.value_of(node)
        return None if value is None else str(value)

    def _number(self, node: Node) -> int:
        if self._kind(node) not in INTEGERS or (value := self._fixed(node)) is None:
            raise self._unproven(node)
        return int(value)

    def _kind(self, node: Node) -> str:
        return self._select.type_of(node)

    def _none(self, *_: Node) -> None:
        """What is not listed is not proven."""

    def _unproven(self, node: Node) -> Unproven:
        return Unproven(self._select.text(node))


def _is_open(bound: Node) -> bool:
    return bound["class"] == "FUNCTION" and bound["function_name"] == "list_value" and not bound["arguments"]
