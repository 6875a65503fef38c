"""The certification suite: tests that a lab runs against a door-lock ECU; `rig certify` runs them."""
