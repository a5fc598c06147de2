"""What `polyclinic explain` says: the question, the methods by which it is answered, and each kind of input shown."""

from polyclinic.cli.explain.dispatch import ExplanationView, Wish, explained
from polyclinic.cli.explain.target import InapplicableTask, Question, question_of

__all__ = ["ExplanationView", "InapplicableTask", "Question", "Wish", "explained", "question_of"]
