"""The settings that are tried, and how they are judged."""
