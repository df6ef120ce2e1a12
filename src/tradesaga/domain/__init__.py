"""Pure and synchronous: values, machines, arithmetic. Imports nothing of the world."""
