"""Asynchronous multi-tenant fetch engine for the wolkvox Billing HTTP API."""

__version__ = "0.1.0"
