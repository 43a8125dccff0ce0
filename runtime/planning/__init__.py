"""Where a model goes, what memory it takes and how fast it will be. Knows values, no engine."""
