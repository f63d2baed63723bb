"""Export of networks, and its verification."""
