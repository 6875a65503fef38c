"""Signing and verification of an evidence folder: keys, envelopes, statements, and what a reader can check."""
