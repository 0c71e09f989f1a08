"""Rules that find waste: what is held and not used, with its evidence. Pure."""
