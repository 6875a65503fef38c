"""Clients that others wrote, unmodified, against the rig's vehicle."""
