"""What a compliance team writes: read as a whole, with every mistake in it told. PURE."""
