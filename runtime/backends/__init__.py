"""The engines, one folder each: a `descriptor` that planning reads, and an adapter.

Nothing is imported here, so that an engine's library is loaded on demand, in worker and job
processes only. `runtime.registry` names them; a new engine is a folder here and a name there.
"""
