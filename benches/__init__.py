"""Figures beside their peers; `run` measures and shows them."""
