"""DICOM: the home of pydicom and pynetdicom. numpy arrays and our own records leave it."""

from pydicom import config

# Our readers judge what they read. pydicom's own judgement is a warning that
# quotes the value, and a value may be a person's name.
config.settings.reading_validation_mode = config.IGNORE
