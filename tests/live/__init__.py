"""Tests of the vehicle that is held up for outside clients."""
