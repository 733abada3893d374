"""The candidate table: its columns and its files."""
