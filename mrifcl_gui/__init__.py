"""The window: draws the values of core, holds no science."""
