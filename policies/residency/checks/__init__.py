"""What a valid bundle may still have wrong: scenario tables, coverage, lint. PURE."""
