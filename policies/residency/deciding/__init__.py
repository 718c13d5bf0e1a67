"""One bundle at one instant, asked: the fail-closed engine, and the table of what it answered. PURE."""
