"""Tests of the adapter for clusters that KAI schedules."""
