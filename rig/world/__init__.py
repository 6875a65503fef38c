"""The world around the ECU: phone, server, network, telematics unit, Bluetooth module, driver, attacker."""
