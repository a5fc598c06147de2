"""What `polyclinic explain` says: the question, the methods by which it is answered, and each kind of input shown."""

from polyclinic.cli.explain.dispatch import Told, Wish, explained
from polyclinic.cli.explain.target import NotAsked, Question, question_of

__all__ = ["NotAsked", "Question", "Told", "Wish", "explained", "question_of"]
