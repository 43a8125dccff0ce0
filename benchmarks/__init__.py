"""Scripts behind every performance figure, one a question: `python -m benchmarks.NAME --help`.

Not in the wheel. README.md says what each measures, how long it takes and how to read its result.
"""
