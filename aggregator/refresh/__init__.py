"""The refresh loops: fetch every source, join, publish the snapshot."""
