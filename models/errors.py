"""What can go wrong between a visitor and a trained model."""


class CheckpointError(Exception):
    """A model that cannot be loaded. Its message is one plain sentence, fit to be shown to a visitor."""
