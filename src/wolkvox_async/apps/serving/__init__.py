"""The service of `watch`: what a browser, a monitoring system and the init system are told."""
