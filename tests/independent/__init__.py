"""An outsider's relay and client, written from the specification and the schemas alone."""
