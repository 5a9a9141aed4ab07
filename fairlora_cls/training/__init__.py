"""One accelerate loop, exact effective batches, atomic checkpoints."""
