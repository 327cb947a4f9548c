"""The local stack: MiniStack, the real template and the real binaries, driven by `make` and by the end-to-end tests."""
