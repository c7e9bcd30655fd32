"""Small services around an engine, one for each web framework, to be read and copied."""
