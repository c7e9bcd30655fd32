"""The broker that machines share: a `nats-server` with a configuration of ours."""
