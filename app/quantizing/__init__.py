"""Changing weights: the jobs, what they will take, what they cost in quality."""
