"""Decision records in a chain of hashes with signed checkpoints, and their verifier. PURE."""
