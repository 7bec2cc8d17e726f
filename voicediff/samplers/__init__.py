"""Samplers walk from noise to data; grids say at which times."""

from voicediff.samplers.base import Callback, EstimateAt, Progress, Sampler
from voicediff.samplers.consistency import ConsistencySteps
from voicediff.samplers.ddim import DDIM, Ancestral, BridgeSteps
from voicediff.samplers.deis import DEIS
from voicediff.samplers.dpm_solver import DPMSolver
from voicediff.samplers.edm import EDMSampler
from voicediff.samplers.euler import Euler
from voicediff.samplers.euler_maruyama import EulerMaruyama
from voicediff.samplers.grids import Grid, KarrasGrid, LogSNRGrid, QuadraticGrid, UniformGrid
from voicediff.samplers.heun import Heun
from voicediff.samplers.plms import PLMS
from voicediff.samplers.predictor_corrector import PredictorCorrector
from voicediff.samplers.rk45 import RK45
from voicediff.samplers.unipc import UniPC

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
