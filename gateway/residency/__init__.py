"""The policy bundle in force at this gateway, and what it says of each caller."""
