"""Tradesaga: the orchestrator of an autonomous trading agent."""

__version__ = "0.1.0"
