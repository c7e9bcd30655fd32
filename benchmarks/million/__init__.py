"""A cluster with as many tokens as it is meant for, beside a broker that is real."""
