"""What this machine has and does while a model runs: processors, NPUs, load, RPC servers."""
