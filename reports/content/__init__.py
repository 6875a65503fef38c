"""What the report says, section by section; each file makes one group of sections from the evidence."""
