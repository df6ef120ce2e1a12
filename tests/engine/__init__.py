"""The engine over memory adapters and a virtual clock: no server, no real waiting."""
