"""The error of pictures that cannot be used."""


class PictureError(ValueError):
    """Why a picture can't be read: one line, to be shown after the file's name."""
