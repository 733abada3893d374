"""The candidate table: how it is built, read and written; explanations of candidates, comparisons of runs, picks."""
