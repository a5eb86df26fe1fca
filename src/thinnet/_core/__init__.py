"""Private: the compiled library and its threads, the stream, the kernels and their NumPy twins."""
