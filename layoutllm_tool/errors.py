"""The error tree. Every error the package raises on purpose is one of these.

LayoutLLMError
├── DocumentError               the file or the page
│   ├── DocumentNotFound        no such file
│   ├── DocumentNotAllowed      outside the allowed roots, a URL while URLs are off, a private address
│   ├── DocumentTooLarge        more bytes, pixels, pages or decompressed data than the limits allow
│   ├── DocumentEncrypted       needs a password
│   ├── DocumentUnreadable      damaged, or of a type that is not supported
│   └── PageOutOfRange          the document has fewer pages
├── OCRError                    text recognition
│   ├── OCRNotInstalled         no engine on this machine
│   ├── OCRLanguageMissing      the engine lacks the language's data
│   └── OCRTimeout              one page took longer than its limit
├── QuestionError               an empty or overlong question
├── PlanError                   a task that no plan can be made of
├── CorrectionError             a correction that contradicts itself or the page
├── StoreMismatch               a folder of results that belongs to another batch
├── StoreUnusable               a store that can't be read or written: damaged, foreign, read-only, a full disk
├── RegistryError               a registry of models, or its validation set, that can't be used or was tampered with
├── BatchError                  one document of a batch, for no fault of the batch's
│   ├── WorkerDied              it killed the process that read it
│   └── DocumentTimeout         it took longer than its limit
├── ServiceError                the HTTP service is not there, is busy, or refused
├── TrainingError               a run that can't begin or go on
│   ├── RecipeError             a recipe that is unknown or contradicts itself
│   └── CheckpointMismatch      a checkpoint made with another recipe or other data
└── ModelError                  weights and checkpoints
    ├── WeightsNotFound         the base model is neither cached nor obtainable
    └── WeightsMismatch         an adapter trained on other base weights

Each class answers two questions for whoever catches it: ``mendable`` (can the caller, an agent for instance, mend
its own call?) and ``retryable`` (is the same call worth trying again?). ``hint`` says what to do next.
"""

from __future__ import annotations


class LayoutLLMError(Exception):
    """Base of the tree. ``str(error)`` is the message followed by the hint, if there is one."""

    mendable: bool = False
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} {hint}" if hint else message)
        self.message = message
        self.hint = hint


class DocumentError(LayoutLLMError):
    """The document can't be used as it was given."""

    mendable = True


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

    mendable = True


class OCRTimeout(OCRError):
    """Recognising one page took longer than the limit."""

    retryable = True


class QuestionError(LayoutLLMError):
    """The question is empty or too long."""

    mendable = True


class PlanError(LayoutLLMError):
    """Nothing to ask of a document can be made of the task."""

    mendable = True


class CorrectionError(LayoutLLMError):
    """The correction contradicts itself or names what the page does not have."""

    mendable = True


class StoreMismatch(LayoutLLMError):
    """The folder's results were made with other settings, or there are none."""

    mendable = True


class StoreUnusable(LayoutLLMError):
    """The store's file can't be read or written, or holds what no batch wrote."""


class RegistryError(LayoutLLMError):
    """The registry of models can't be used: not one, changed by hand, a document or a model's file is not what it was."""

    mendable = True


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

    mendable = True


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
