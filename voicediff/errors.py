"""Errors caused by the user's input; the program prints them in one line and exits with status 2."""


class ConfigError(Exception):
    """A configuration has an unknown name, a missing option or a value of a wrong type."""


class DataError(Exception):
    """An input file (audio, score, text, checkpoint, data folder) cannot be used."""


class TrainingError(Exception):
    """Training cannot continue: a loss that is not finite, or too little memory."""
