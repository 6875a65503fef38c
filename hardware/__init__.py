"""What is on the bench: bench files, bus description, lines and their drivers, the emulated ECU."""
