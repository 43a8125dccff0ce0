"""The jobs of short-lived children: probe, convert, measure."""
