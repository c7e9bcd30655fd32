"""Tests of the scheduler: no clock, no sleep, no mock; `now` is whatever a test says."""
