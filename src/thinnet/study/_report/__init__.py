"""The results in numbers, words and pictures: JSON, HTML and the terminal."""
