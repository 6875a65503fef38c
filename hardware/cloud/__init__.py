"""Phone, internet, maker's server and telematics unit with real HTTP and TLS, for the `stack` and `wire` fidelities."""
