"""Plans for one user's models on this machine, and what this machine has taught."""
