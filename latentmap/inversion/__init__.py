"""Codes of any image: by a model's encoder, by a gradient search, by both."""
