"""The engine llama.cpp: its descriptor, its memory formula, and the adapter.

All but descriptor and formula is imported in worker and job processes only.
"""
