"""Files that people attach to a message, as text. Knows formats and limits, no Qt and no model."""
