"""A file becomes arrays: reading, target, treatment of columns, split."""
