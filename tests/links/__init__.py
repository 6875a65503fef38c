"""Tests of the outer links: real HTTP and TLS, in virtual and in real time."""
