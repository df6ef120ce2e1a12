"""Measurements, one command: `make bench`. Figures are ratios of one run on one machine."""
