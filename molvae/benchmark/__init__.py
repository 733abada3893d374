"""Metrics of a codec or of a set of molecules: the MOSES benchmark and the reconstruction rate."""
