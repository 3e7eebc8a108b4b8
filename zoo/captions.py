"""Image captions. ARAE's published figures are not comparable: they are on 714,667 sentences of SNLI, with other
evaluation models.
"""

ROWS = {'': {}}
