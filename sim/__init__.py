"""Hours of trading on virtual time, with faults: `python -m sim --seeds 500`."""
