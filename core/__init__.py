"""The science of MRI-FCL: from a folder of scans to figures, without a window."""

__version__ = "0.1.0"
