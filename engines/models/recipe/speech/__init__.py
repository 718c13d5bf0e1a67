"""Speech for training: synthesisers, voices, noise, augmentation and features."""
