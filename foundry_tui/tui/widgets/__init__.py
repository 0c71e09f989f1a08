"""Widgets that draw line by line and paint only the lines that have changed."""
