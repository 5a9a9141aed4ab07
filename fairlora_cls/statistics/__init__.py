"""How sure are the numbers? Draws, intervals, power and many tests, for classes and texts alike."""
