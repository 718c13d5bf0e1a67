"""`patchbay policy`: bundles of residency rules, from the first line of one to the story of a session."""
