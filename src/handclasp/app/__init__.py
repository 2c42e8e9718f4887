"""What a face calls: settings, the state directory, the running gateway, and the operations on it."""
