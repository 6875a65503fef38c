"""Bluetooth on Bumble: the car's module, the phones, and the air between them, simulated or real."""
