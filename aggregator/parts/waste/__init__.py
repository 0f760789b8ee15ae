"""Which running jobs hold more than they use, by rules that a site can change."""
