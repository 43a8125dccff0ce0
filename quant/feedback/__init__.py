"""Quantization with error feedback: later weights make good what rounding the earlier ones cost.

Arrays in, blocks out; where inputs come from is `runtime.tasks.feedback`'s.
"""
