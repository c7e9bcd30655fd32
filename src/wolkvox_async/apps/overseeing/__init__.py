"""Who holds what in a cluster, as somebody sees it who only looks."""
