"""What a database says of itself, read by SQL and returned as values: one file a concern, with the facts and how they are read.

Not here: what a fact means, and what mends it. `ramet.operate.data_diagnosis` judges.
"""
