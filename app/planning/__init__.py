"""Plans for one user's models on this machine, and what this machine has taught.

Asks `runtime.planning`, which knows neither files of the user nor children, and keeps what was
measured.
"""
