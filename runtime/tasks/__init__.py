"""The jobs of short-lived children: probe, inspect, convert, measure.

Each is a function of the values in `runtime.process.job_values`; `runtime.process.job_table` lists
them.
"""
