"""How small a share of a GPU a run can live on, and which shares fit beside each other.

Everything here is advice: pure functions of measurements, demand and published tables. Nothing is
changed by it, and every answer says what it rests on.
"""
