"""Devices, planning, engines and the worker process: no Qt, no network, no user folders."""
