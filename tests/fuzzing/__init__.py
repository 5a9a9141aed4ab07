"""Inputs broken at random, by seed: what must hold of every verb, whatever it is given."""
