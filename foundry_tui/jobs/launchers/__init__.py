"""How the processes of a distributed run are started, and how they find each other. Pure."""
