"""Rows become files: written whole, vouched for, and without names where asked."""
