"""The engine beside other clients: one loopback server, the same work, the same lines out."""
