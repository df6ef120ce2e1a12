"""The public test kit itself."""
