"""Runs, folders and schedules around molvae; no chemistry and no mathematics."""
