"""The spec dialect: paths, fields, words and events as the platform's documents describe them."""
