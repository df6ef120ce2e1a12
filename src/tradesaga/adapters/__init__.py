"""One module or folder per technology; none knows another."""
