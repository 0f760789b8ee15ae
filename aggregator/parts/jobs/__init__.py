"""Jobs, the ground of a cluster: which runs there are, what they use of what they hold, and what that adds up to."""
