"""Simulated devices and lines on the kernel: body CAN, serial and text lines, reader with cards, plant.

Implement `rig.ports`; know nothing of the DUT.
"""
