"""The serving process: keeps the collector alive, and tells what it says on a page."""
