"""Starts TensorFlow without its chatter, so that the user's messages stand out."""

import logging
import os
import re
import sys
import tempfile
import warnings

# Information, and that there is no GPU driver; TF_CPP_MIN_LOG_LEVEL does not hold for
# what is logged while the libraries load.
_CHATTER = re.compile(
    rb"^(I\d{4} .*|To enable the following instructions.*"
    rb"|WARNING: All log messages before absl::InitializeLog.*"
    rb"|E\d{4} .*failed call to cuInit.*)\n",
    re.MULTILINE,
)


def start_tensorflow() -> None:
    """Imports TensorFlow and finds its devices; what it logs passes a filter.

    Warnings and errors still reach standard error; deprecations within TensorFlow,
    which are not the user's to mend, do not.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            os.write(2, _CHATTER.sub(b"", captured.read()))
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(tensorflow|tf_keras|tf_slim)\b")
