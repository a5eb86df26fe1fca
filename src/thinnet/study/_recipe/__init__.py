"""What is tried, and how it is judged."""
