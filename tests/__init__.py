"""The tests of Tradesaga."""
