"""The engine: scenarios, faults, clock, the world around the ECU, the judge, the suite, the command line."""
