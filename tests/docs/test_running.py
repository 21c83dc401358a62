"""A page that says what is not so is found out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docs.console import follow
from tests.docs.pages import blocks
from tests.docs.running import Page


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page("page_of_a_test")
    yield page
    page.close()


def run(page: Page, text: str) -> None:
    for block in blocks("a.md", text):
        page.run(block)


@pytest.mark.parametrize(
    "kept",
    [
        "```python\nprint(1, 2)  # 1 2\n```",
        "```python\nx = [1]\nx  #> [1]\n```\n\nand\n\n```python\nx + x\n#> [1, 1]\n```",
        '```python\nprint("a\\nb")\n#> a\n#> b\n```',
        "```python\nimport asyncio\nawait asyncio.sleep(0, 3)  #> 3\n```",
        "```sql\nselect 1\n--> [(1,)]\n```",
        '- in a list\n\n    ```json\n    {"a": 1}\n    ```',
        "<!-- not run: a picture -->\n```text\nabc\n```",
    ],
)
def test_what_is_so_passes(page: Page, kept: str) -> None:
    assert blocks("a.md", kept)
    run(page, kept)


@pytest.mark.parametrize(
    "broken",
    [
        "```python\nprint(1, 2)  # 1 3\n```",
        "```python\nfor x in (1, 2):\n    print(x)  # 1\n```",
        "```python\nx = 1\nx  #> 2\n```",
        "```python\nx = 1\n#> 1\n```",
        "```python\nif False:\n    print(1)  # 1\n```",
        "```sql\nselect 1\n--> [(2,)]\n```",
        "```text\nabc\n```",
        "    indented = code\n",
        "```console\nls\n```",
    ],
)
def test_what_is_not_so_fails(page: Page, broken: str) -> None:
    with pytest.raises(AssertionError):
        run(page, broken)


@pytest.mark.parametrize(
    "command",
    [
        "make demos",
        "make test BENCHES=1",
        "ALLUVIUM_WAREHOUSES=x make demo",
        ".venv/bin/python -m pipelines.following",
        ".venv/bin/python -m pipelines.follow --metric-ports 1",
        ".venv/bin/python -m store verifying .",
        "pip install '.[pipeline]'",
        "rm -rf warehouse",
    ],
)
def test_a_command_that_is_not_there_fails(command: str) -> None:
    with pytest.raises((AssertionError, ModuleNotFoundError)):
        follow(command)
