"""Benchmarks for a machine with a CUDA device; run.sh runs those behind results/gpu-*."""
