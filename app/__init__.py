"""The application: the steps of the pipeline for one user, and three ways in.

On the ground floor are values and files that every folder uses (settings, paths, errors, logs);
each folder is a step, or what steps use. docs/architecture.md is the map.
"""

__version__ = "0.1.0"
