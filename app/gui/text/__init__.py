"""Text as Qt draws it: documents, formulas as pictures, paper."""
