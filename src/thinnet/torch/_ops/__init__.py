"""What PyTorch sees: the operators, their derivatives, and how a sample is drawn."""
