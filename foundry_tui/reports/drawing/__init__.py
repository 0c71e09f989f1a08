"""Reports as bars: what is drawn, as text by the faces, or as a picture."""
