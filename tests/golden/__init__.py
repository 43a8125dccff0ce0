"""What other programs made of our models, for tests/data; run by hand, where they are installed."""
