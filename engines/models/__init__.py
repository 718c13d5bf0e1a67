"""Model files: the embedded model, the recordings that test it, and the recipe that makes it."""
