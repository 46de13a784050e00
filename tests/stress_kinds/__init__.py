"""The kinds of trouble that tests/stress.py makes. Each is a generator of `outcome.Outcome`."""
