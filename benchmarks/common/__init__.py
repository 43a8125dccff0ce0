"""What several benchmarks share: the starter, llama.cpp's own tools, result files, options."""
