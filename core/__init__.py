"""The science of MRI-FCL: from a folder of scans to figures, without a window."""
