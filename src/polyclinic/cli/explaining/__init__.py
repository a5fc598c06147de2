"""What `polyclinic explain` says: the question, the methods by which it is answered, and each kind of input shown."""

from polyclinic.cli.explaining.methods import Told, Wish, explained
from polyclinic.cli.explaining.question import NotAsked, Question, question_of

__all__ = ["NotAsked", "Question", "Told", "Wish", "explained", "question_of"]
