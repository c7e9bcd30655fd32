"""Tests of a machine among others, against the store in memory and what can go wrong with a store."""
