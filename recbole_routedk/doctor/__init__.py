"""Checks whether this machine can run what is asked for, and says how to mend what is wrong."""
