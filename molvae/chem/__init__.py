"""Molecules, their properties, fingerprints and metrics: the package that uses RDKit."""
