"""Configuration: the TOML file, its model and template, secrets, and where files are kept."""
