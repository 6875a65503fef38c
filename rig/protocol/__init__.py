"""Protocols of the vehicle, sans-I/O, shared by the rig and the emulated ECU."""
