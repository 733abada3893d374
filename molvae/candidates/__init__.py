"""The candidate table: its columns, how it is built, and its files."""
