"""Faults and races on real servers: what is broken, and what must be seen outside."""
