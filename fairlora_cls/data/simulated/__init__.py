"""Cohorts whose bias is known exactly."""
