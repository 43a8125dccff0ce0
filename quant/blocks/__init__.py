"""Blocks of 4 bits: encoders, searches for the best scale, llama.cpp's own quantizers.

Rows in, bytes out; knows no file and no tensor name.
"""
