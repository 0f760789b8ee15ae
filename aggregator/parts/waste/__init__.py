"""Which running jobs waste what is allocated to them, by rules that a site can change."""
