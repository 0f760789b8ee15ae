"""The pictures of pages that documents show, made of the demo."""
