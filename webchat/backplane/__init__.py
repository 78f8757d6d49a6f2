"""What joins several processes into one chat: nothing (`local`) or Redis (`redis`)."""
