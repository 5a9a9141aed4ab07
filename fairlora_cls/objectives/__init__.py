"""What a training step minimises: pure functions of typed records."""
