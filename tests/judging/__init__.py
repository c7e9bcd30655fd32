"""A judge that knows nothing of the client: a server of bytes, its journal, and rules over both."""
