"""What follows from a bundle, for those who sign it: differences, matrices, what-ifs, explanations. PURE."""
