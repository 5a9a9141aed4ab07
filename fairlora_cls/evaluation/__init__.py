"""Predictions, their metrics with uncertainty, and the report."""
