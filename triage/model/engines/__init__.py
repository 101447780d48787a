"""What runs the network: the port, and the engines behind it, one heavy library each."""
