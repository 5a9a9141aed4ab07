"""How numbers, tables and pages look."""
