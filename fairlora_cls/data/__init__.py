"""Labelled images with their attributes, and how they become batches."""
