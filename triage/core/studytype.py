"""MURA's seven study types (Rajpurkar et al. 2017, section 2)."""

from enum import StrEnum


class StudyType(StrEnum):
    """MURA's study types."""

    ELBOW = "elbow"
    FINGER = "finger"
    FOREARM = "forearm"
    HAND = "hand"
    HUMERUS = "humerus"
    SHOULDER = "shoulder"
    WRIST = "wrist"
