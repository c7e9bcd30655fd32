"""Tenants file, options and environment, checked; `composition` makes an engine of them."""
