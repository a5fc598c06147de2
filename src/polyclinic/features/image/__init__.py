"""Images: preprocessing, augmentation, embeddings by the frozen backbone."""
