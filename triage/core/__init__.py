"""The rules, decided with plain values: no I/O, no clock, the standard library alone."""
