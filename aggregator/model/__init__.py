"""Frozen data of the domain and the parsing of its notations; standard library only, no I/O, no clock."""
