"""Samplers: numerical solvers of the reverse process; grids: the times at which they evaluate it."""

from voicediff.diffusion.samplers.base import Callback, EstimateAt, Progress, Sampler
from voicediff.diffusion.samplers.consistency import ConsistencySteps
from voicediff.diffusion.samplers.ddim import DDIM, Ancestral, BridgeSteps
from voicediff.diffusion.samplers.deis import DEIS
from voicediff.diffusion.samplers.dpm_solver import DPMSolver
from voicediff.diffusion.samplers.edm import EDMSampler
from voicediff.diffusion.samplers.euler import Euler
from voicediff.diffusion.samplers.euler_maruyama import EulerMaruyama
from voicediff.diffusion.samplers.grids import (
    Grid,
    KarrasGrid,
    LogSNRGrid,
    QuadraticGrid,
    UniformGrid,
)
from voicediff.diffusion.samplers.heun import Heun
from voicediff.diffusion.samplers.plms import PLMS
from voicediff.diffusion.samplers.predictor_corrector import PredictorCorrector
from voicediff.diffusion.samplers.rk45 import RK45
from voicediff.diffusion.samplers.unipc import UniPC

__all__ = [
    "DDIM",
    "DEIS",
    "PLMS",
    "RK45",
    "Ancestral",
    "BridgeSteps",
    "Callback",
    "ConsistencySteps",
    "DPMSolver",
    "EDMSampler",
    "EstimateAt",
    "Euler",
    "EulerMaruyama",
    "Grid",
    "Heun",
    "KarrasGrid",
    "LogSNRGrid",
    "PredictorCorrector",
    "Progress",
    "QuadraticGrid",
    "Sampler",
    "UniPC",
    "UniformGrid",
]
