"""The NumPy twins of the compiled kernels: the same bits, by passes that can be read."""
