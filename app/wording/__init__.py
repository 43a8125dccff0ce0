"""Everything a person reads that is not a label: errors, reasons and numbers in words."""
