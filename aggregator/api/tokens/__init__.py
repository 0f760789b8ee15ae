"""Bearer tokens: what they may do, where they are kept, and which of them a request carries."""
