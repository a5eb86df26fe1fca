"""Whether dropout helps on a table, how much of it, and where."""
