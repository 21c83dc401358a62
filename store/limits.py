"""How large things may be. Larger input is refused before anything is written."""

from typing import Final

MAX_STREAM_ID_BYTES: Final = 512
MAX_NAME_BYTES: Final = 256
"""Of a type, a tag, a correlation or causation id, in UTF-8."""
MAX_TAGS: Final = 64
MAX_EVENT_BYTES: Final = 1 << 20
"""Of one event's data and metadata together, in UTF-8."""
MAX_STATE_BYTES: Final = 16 << 20
"""Of one snapshot, in UTF-8: larger ones would take longer to read than most folds take."""
