"""The command line: verbs, options and what a terminal shows."""
