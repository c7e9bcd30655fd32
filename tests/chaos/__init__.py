"""The parts of the chaos lab that need no cluster."""
