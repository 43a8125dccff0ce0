"""Changing weights: the jobs, what they will take, what they cost in quality.

Starts and records; the arithmetic is `quant`, the jobs themselves are `runtime.tasks`.
"""
