"""The commands of `molvae`: each module holds one command with its options, help text and work."""
