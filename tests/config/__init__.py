"""The configuration: files, precedence, defaults, what is shown."""
