"""What a study reports: every number and sentence."""
