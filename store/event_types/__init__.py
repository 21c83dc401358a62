"""Event types: classes registered as one explicit value, which encodes events, decodes them, and lifts old shapes."""
