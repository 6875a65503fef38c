"""The emulated door-lock ECU, sans-I/O: what came in and the time go in; frames, bytes and lines come out.

Knows nothing of kernels, buses or clocks; `hardware.ecu.onkernel` binds it to a host.
"""
