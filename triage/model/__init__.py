"""The network: its checkpoint and card, its input, its probabilities."""

import os

# libgomp's threads spin while they wait for each other. Beside a busy receiver,
# or on a machine with fewer free cores than threads, that makes a pass ten times
# slower (2 cores: 3.4 s against 0.2 s a view); asleep, they cost nothing at rest.
# It is read when torch is loaded, so it is said before anything here loads it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
