"""One file per format of data that hospitals and researchers have."""
