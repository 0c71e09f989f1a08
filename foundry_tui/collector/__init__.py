"""Polls every source politely and keeps the last good data of each."""
