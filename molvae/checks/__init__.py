"""Checks that a molecule passes, or fails with a reason."""
