"""Operational profiles: how often things happen, from which `rig sample` draws; files of TOML."""
