"""Layers and models, with PyTorch's names. ``with nn.ensemble(8):`` builds eight models in one."""

from . import init
from .activations import GELU, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .attention import MultiheadAttention
from .containers import Flatten, ModuleList, Sequential
from .conv import AvgPool2d, Conv2d, MaxPool2d
from .dropout import Dropout
from .embedding import Embedding
from .ensembles import ensemble, member, members, parameter, stack
from .linear import Linear
from .module import Module
from .norm import BatchNorm1d, BatchNorm2d, LayerNorm
from .recurrent import LSTM

__all__ = [
    "GELU",
    "LSTM",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "MultiheadAttention",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "ensemble",
    "init",
    "member",
    "members",
    "parameter",
    "stack",
]
