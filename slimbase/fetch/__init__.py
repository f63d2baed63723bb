"""Files from elsewhere: downloads, mirrors, checksums and archives."""
