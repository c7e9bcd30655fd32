"""What machines that share tokens agree on, decided without waiting: leases of partitions, what is known of tokens."""
