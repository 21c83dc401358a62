"""What the Python of a page says will come out, made into checks.

    print(head)          # 3                    the comment behind a print is what it prints
    store.head()         #> 3                   behind or below any other expression: its value, or its repr
    print(types)
    #> Lent 1: reader str                       below, it may take several lines
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import Any, Final

CHECK: Final = "__check__"


class Promises(ast.NodeTransformer):
    """Rewrites a tree so that it checks what its comments promise; `kept` are the lines of those that were."""

    def __init__(self, source: str) -> None:
        comments = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT]
        alone = {token.start[0] for token in comments if not token.line[: token.start[1]].strip()}
        self._behind = {token.start[0]: token.string for token in comments if token.start[0] not in alone}
        self._below = {token.start[0]: token.string for token in comments if token.start[0] in alone and token.string.startswith("#>")}
        self._open = {line for line, comment in self._behind.items() if comment.startswith("#>")} | set(self._below)
        self.made: dict[int, str] = {}
        self.kept: set[int] = set()

    @property
    def stray(self) -> set[int]:
        """Lines of promises that follow no expression."""
        return self._open

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        printed = isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "print"
        promised = self._promised(node.end_lineno or node.lineno, printed)
        if promised is None:
            return node
        self.made[node.lineno] = promised
        arguments: list[ast.expr] = [ast.Constant(node.lineno)]
        if printed and isinstance(node.value, ast.Call):
            call = ast.Call(ast.Attribute(ast.Name(CHECK, ast.Load()), "printed", ast.Load()), [*arguments, *node.value.args], node.value.keywords)
        else:
            call = ast.Call(ast.Attribute(ast.Name(CHECK, ast.Load()), "valued", ast.Load()), [*arguments, node.value], [])
        return ast.copy_location(ast.Expr(ast.copy_location(call, node)), node)

    def _promised(self, line: int, printed: bool) -> str | None:
        behind = self._behind.get(line, "")
        if behind.startswith("#>") or (printed and behind):
            self._open.discard(line)
            return behind.lstrip("#>").strip()
        told = []
        while (line := line + 1) in self._below:
            self._open.discard(line)
            told.append(self._below[line].removeprefix("#>").removeprefix(" "))
        return "\n".join(told) if told else None

    def printed(self, line: int, *values: Any, **how: Any) -> None:
        out = io.StringIO()
        print(*values, **how, file=out)
        lines = [told.rstrip() for told in out.getvalue().rstrip().splitlines()]
        assert lines == [told.rstrip() for told in self.made[line].splitlines()], f"line {line} prints {lines}"
        self.kept.add(line)

    def valued(self, line: int, value: Any) -> None:
        promised = self.made[line]
        assert repr(value) == promised or value == literal(promised), f"line {line} gives {value!r}"
        self.kept.add(line)


def literal(text: str) -> Any:
    """Of a promise that is no literal nothing, which equals no value."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return object()
