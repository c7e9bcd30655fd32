"""A machine of a cluster: a parent that has the leases and the stream, and a child that calls.

    broker <--> parent: leases, what is known of tokens, records
                  | a pair of sockets, and a board in memory that both have
                child: the ordinary engine, for the tokens of the partitions that are ours

The parent renews leases only while the child shows that it is alive, and kills a child that stands
still before others may take its partitions. So a child that was stopped between its last look at
the board and the sending of a request never sends it.
"""
