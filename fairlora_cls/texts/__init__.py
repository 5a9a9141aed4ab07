"""Findings, diagnoses and scores read from words."""
