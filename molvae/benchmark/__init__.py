"""Metrics of a codec or of a set of molecules: the MOSES benchmark, reconstruction and samples."""
