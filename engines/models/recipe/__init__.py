"""The recipe of the embedded model: how its text, speech, weights and file are made (see README.md); never imported by the product."""
