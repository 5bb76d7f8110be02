"""Every error that the package raises on purpose.

``caller_can_fix``: can the caller, an agent for instance, correct its call? ``retryable``: is the same call
worth trying again? ``hint`` says what to do next.
"""

from __future__ import annotations


class LayoutLLMError(Exception):
    """Base of the tree. ``str(error)`` is the message followed by the hint, if there is one."""

    caller_can_fix: bool = False
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}" if hint else message)
        self.message = message
        self.hint = hint


class DocumentError(LayoutLLMError):
    """The document can't be used as it was given."""

    caller_can_fix = True


class DocumentNotFound(DocumentError):
    """No file at this path."""


class DocumentNotAllowed(DocumentError):
    """The place is off limits: outside the allowed roots, or a URL that the settings refuse."""


class DocumentTooLarge(DocumentError):
    """Over the limit for bytes, pixels, pages or decompressed size."""


class DocumentEncrypted(DocumentError):
    """The document needs a password."""


class DocumentUnreadable(DocumentError):
    """Damaged, empty, or of a type that is not supported."""


class PageOutOfRange(DocumentError):
    """The page asked for does not exist."""


class OCRError(LayoutLLMError):
    """Text recognition failed."""


class OCRNotInstalled(OCRError):
    """No OCR engine can be used on this machine."""


class OCRLanguageMissing(OCRError):
    """The engine has no data for the language asked for."""

    caller_can_fix = True


class OCRTimeout(OCRError):
    """Recognising one page took longer than the limit."""

    retryable = True


class QuestionError(LayoutLLMError):
    """The question is empty or too long."""

    caller_can_fix = True


class RequestError(LayoutLLMError):
    """What a run is given is no request, no context, or no reply to what waits for one."""

    caller_can_fix = True


class PlanError(LayoutLLMError):
    """Nothing to ask of a document can be made of the task."""

    caller_can_fix = True


class CorrectionError(LayoutLLMError):
    """The correction contradicts itself or names what the page does not have."""

    caller_can_fix = True


class StoreMismatch(LayoutLLMError):
    """The folder's results were made with other settings, or there are none."""

    caller_can_fix = True


class StoreUnusable(LayoutLLMError):
    """The store's file can't be read or written, or holds what no batch wrote."""


class RegistryError(LayoutLLMError):
    """The registry of models, its validation set or a model's file is no registry's, or was changed."""

    caller_can_fix = True


class BatchError(LayoutLLMError):
    """A document of a batch could not be answered; the others are."""

    retryable = True


class WorkerDied(BatchError):
    """The document killed the process that read it: out of memory, most likely."""


class DocumentTimeout(BatchError):
    """The document took longer than the limit."""


class ServiceError(LayoutLLMError):
    """The service that reads documents can't be reached, has too much to do, or answered with nonsense."""

    retryable = True


class TrainingError(LayoutLLMError):
    """A training run can't begin or go on as it was asked for."""

    caller_can_fix = True


class RecipeError(TrainingError):
    """No such recipe, an unknown key in one, or values that contradict each other."""


class CheckpointMismatch(TrainingError):
    """The folder's checkpoint belongs to another run."""


class ModelError(LayoutLLMError):
    """The model or its weights can't be used."""


class WeightsNotFound(ModelError):
    """The weights are neither in the cache nor obtainable from here."""

    retryable = True


class WeightsMismatch(ModelError):
    """The adapter was trained on other base weights than those found."""
