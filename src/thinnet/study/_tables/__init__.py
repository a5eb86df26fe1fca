"""A file becomes arrays."""
