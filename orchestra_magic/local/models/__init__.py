"""Models on this computer, each in a process of its own: a small one that chats, and one that compares texts."""
