"""Devices, planning, engines and the worker process: no Qt, no network, no user folders.

On the ground floor: values (plans, shapes, devices, generations), and what an engine is as data
(`engine`), loaded (`backend`) and by name (`registry`).
"""
