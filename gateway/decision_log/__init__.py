"""Decision records of one writer: chained, signed, rotated and copied."""
