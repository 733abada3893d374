"""Judging what came back: checks per molecule, figures per set, the candidate files and the report."""
