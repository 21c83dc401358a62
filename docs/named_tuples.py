"""Shows a NamedTuple in the reference as a dataclass is shown: with its fields, their types and defaults."""

from __future__ import annotations

from typing import Any

from griffe import Attribute, Class, Extension, Function, Parameter, ParameterKind, Parameters


class NamedTuples(Extension):
    def on_class(self, *, cls: Class, **_: Any) -> None:
        if any(str(base).endswith("NamedTuple") for base in cls.bases) and "__init__" not in cls.members:
            fields = [
                Parameter(name, annotation=field.annotation, kind=ParameterKind.positional_or_keyword, default=field.value)
                for name, field in cls.members.items()
                if isinstance(field, Attribute) and field.annotation is not None
            ]
            cls.set_member("__init__", Function("__init__", parameters=Parameters(Parameter("self"), *fields), parent=cls))
