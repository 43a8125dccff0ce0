"""The window: the only part of Stillroom that knows Qt."""
