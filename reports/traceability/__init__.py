"""Traceability: which test gives evidence for which requirement, what is missing, and who has waived it."""
