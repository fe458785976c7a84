"""What the HTTP suites stand on: a private cluster, a service, a client, the contract, a small world."""
