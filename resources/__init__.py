"""Icons, style sheets and help texts."""
