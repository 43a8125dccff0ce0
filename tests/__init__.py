"""Stillroom's tests: unit, worker, engine, window, end to end, packaging; never in the wheel.

A package so that what tests share (`tests.helpers`) has one name here and in `benchmarks`.
"""
