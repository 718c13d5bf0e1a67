"""How recognised words are written: numerals, casing and punctuation, profanity, redaction. PURE."""
