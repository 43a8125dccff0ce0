"""Everything a person reads that is not a label: errors, reasons, notices and numbers.

`errors`, `codes` and `sentences` hold the words, `explain` chooses among them. Errors carry facts
and no words.
"""
