"""What Foundry keeps on disk: the journal of changes and the last good snapshots."""
