"""Blocks of 4 bits: encoders, scale searches, importance matrices."""
