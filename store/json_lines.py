"""Log lines as JSON, each with the correlation id of the operation that it belongs to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from store.correlation import cause

_OURS: Final = "alluvium"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, correlation_id, causation_id, and the facts of a measurement.

        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logging.basicConfig(handlers=[handler])

    Lines of the application's own loggers carry the ids too, inside `correlated`, `caused_by` and a `decide`, and the facts that they are
    given (`extra={"facts": {...}}`). What JSON cannot hold is written as text; no line is lost for it.
    """

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        surrounding = cause()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record, isinstance(facts, Mapping)),
            "correlation_id": surrounding.correlation_id,
            "causation_id": surrounding.causation_id,
        }
        line = {name: value for name, value in line.items() if value is not None}
        if facts is not None:
            line |= facts if isinstance(facts, Mapping) else {"facts": facts}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return _json(line)


def _message(record: logging.LogRecord, with_facts: bool) -> str:
    """Of a measurement its name alone: its facts stand beside it."""
    try:
        message = record.getMessage()
    except Exception:                              # arguments that the message has no place for
        return f"{_text(record.msg)} {_text(record.args)}"
    is_ours = record.name.partition(".")[0] == _OURS
    return message.split(" ", 1)[0] if is_ours and with_facts else message


def _json(line: Mapping[Any, Any]) -> str:
    try:
        return _dumps(line)
    except Exception:                              # rare: now each value is tried alone
        return _dumps({_text(name): _held(value) for name, value in line.items()})


def _held(value: Any) -> Any:
    try:
        _dumps(value)
    except Exception:
        return _text(value)
    return value


def _dumps(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _text(value: object) -> str:
    try:
        return str(value).encode(errors="backslashreplace").decode()     # for lone surrogates
    except Exception as error:                     # its own __str__ failed
        return f"<{type(value).__qualname__}, which cannot be told ({type(error).__name__})>"
