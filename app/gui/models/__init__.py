"""The models page, and the chosen model with its plan."""
