"""The seven pre-training tasks (paper section 3.1) as instructions: DDD, TLR, DLA, TU, MVLM, MPI, GLI."""

from layoutllm_tool.training.pretraining.known import Limits
from layoutllm_tool.training.pretraining.mixture import PretrainingMixture, PretrainingSources, Weights

__all__ = ["Limits", "PretrainingMixture", "PretrainingSources", "Weights"]
