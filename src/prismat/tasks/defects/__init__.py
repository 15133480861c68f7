"""Defect identification: classes of pictures from the image encoder's feature."""
