"""Log lines as JSON, each with the correlation id of the operation that it belongs to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson

from store.correlation import cause


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, correlation_id, causation_id, and the facts of a measurement.

        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logging.basicConfig(handlers=[handler])

    Lines of the application's own loggers carry the ids too, inside `correlated`, `caused_by` and a `decide`.
    """

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        surrounding = cause()
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage() if facts is None else record.getMessage().split(" ", 1)[0],
            "correlation_id": surrounding.correlation_id,
            "causation_id": surrounding.causation_id,
        }
        line = {name: value for name, value in line.items() if value is not None} | (facts or {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()
