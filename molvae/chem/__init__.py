"""Molecules and numbers about them: the one package that knows RDKit."""
