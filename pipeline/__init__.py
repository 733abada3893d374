"""The command line, runs, run folders and schedules of molvae; no chemistry and no numerics."""
