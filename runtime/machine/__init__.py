"""What this machine has and does while a model runs: cores, NPUs, providers, load, RPC.

Reads the system; decides nothing but thread counts. How fast it is, is
`runtime.planning.bandwidth`.
"""
