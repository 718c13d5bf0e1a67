"""Words that a project asked to be kept: where, for how long, and how they are erased."""
