"""Checks of molecules; a molecule passes a check, or fails it with a reason."""
