"""Models that other machines run: any OpenAI-compatible endpoint, known by a name of its own."""
