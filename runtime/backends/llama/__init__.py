"""The llama.cpp engine. Imported in worker and job processes only."""
