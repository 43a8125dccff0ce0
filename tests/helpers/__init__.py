"""Stand-ins, models made on the spot and drivers that several test modules or benchmarks use."""
