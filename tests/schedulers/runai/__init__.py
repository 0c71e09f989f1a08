"""Tests of the Run:ai adapter and of the fake control plane that they run on."""
