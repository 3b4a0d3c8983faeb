"""PyTorch on an NVIDIA GPU: all chains at once, operations in place, STEPS steps captured as one CUDA graph.

A graph saves the launches, which is most of the time of a small step; PyTorch's generator is registered with it, so that every
replay has numbers of its own. with_torch_compile.py has what torch.compile makes of the elementwise steps.
"""

from __future__ import annotations

import functools

import torch

from . import machine, with_torch
from .with_torch import Dense, Network, Spiking, Training, WholeLinear, set_threads, tensor

STEPS = 20  # of a graph; even, since Dense has two arrays that change places
WARM_UP = 2

if not machine.tried_on_cpu():
    if not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no GPU")
    with_torch.DEVICE = "cuda"
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
VERSION = f"PyTorch {torch.__version__}" + (f" on {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")
__all__ = ["CANDIDATES", "VERSION", "set_threads"]


def captured(function, warm_up=WARM_UP):
    """A graph of a call of the function, after calls that make libraries allocate what they need."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warm_up):
            function()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph


class Graphed:
    """A sampler of with_torch.py whose steps are replayed; what warm-up did to its state is taken back. steps: calls of step() for STEPS steps."""

    steps = STEPS

    def __init__(self, problem, make):
        torch.set_grad_enabled(False)  # also in a thread that builds
        self.sampler = make(problem)
        state = [value for value in vars(self.sampler).values() if isinstance(value, torch.Tensor)]
        kept = [value.clone() for value in state]

        def steps():
            for _ in range(self.steps):
                self.sampler.step()

        if machine.tried_on_cpu():
            self.replay = steps
        else:
            self.replay = captured(steps).replay
        for value, before in zip(state, kept):
            value.copy_(before)

    def advance(self, steps):
        for _ in range(steps // STEPS):
            self.replay()
        if not machine.tried_on_cpu():
            torch.cuda.synchronize()

    def result(self):
        return self.sampler.result()


class GraphedTraining(Training):
    """A training step as a graph: rows and noise are drawn in it, or copied in before it (the batches of the check)."""

    def __init__(self, problem):
        super().__init__(problem)
        width = self.data.shape[1]
        if not machine.tried_on_cpu():
            self.adam = torch.optim.Adam(self.weights, lr=problem["lr"], fused=True, capturable=True)
        self.x, self.eps = torch.zeros(self.batch, width, device=with_torch.DEVICE), torch.zeros(self.batch, width, device=with_torch.DEVICE)
        self.loss_now = torch.zeros((), device=with_torch.DEVICE)
        given = [weight.detach().clone() for weight in self.weights]
        self.learn_once = self.graph(self.step)
        self.draw_and_learn = self.graph(self.draw_and_step)
        with torch.no_grad():
            for weight, before in zip(self.weights, given):
                weight.copy_(before)
        for state in self.adam.state.values():
            for value in state.values():
                value.zero_()

    def graph(self, function):
        return function if machine.tried_on_cpu() else captured(function).replay

    def step(self):
        with torch.enable_grad():
            loss = self.loss(self.x, self.eps)
            self.adam.zero_grad(set_to_none=True)  # so that gradients are written, not added to
            loss.backward()
            self.adam.step()
        self.loss_now.copy_(loss.detach())

    def draw_and_step(self):
        rows = torch.randint(self.data.shape[0], (self.batch,), device=with_torch.DEVICE)
        torch.index_select(self.data, 0, rows, out=self.x)
        self.eps.normal_()
        self.step()

    def advance(self, steps):
        for _ in range(steps):
            if self.given:
                x, eps = self.given.pop(0)
                self.x.copy_(tensor(x))
                self.eps.copy_(tensor(eps))
                self.learn_once()
                self.losses.append(float(self.loss_now))
            else:
                self.draw_and_learn()
        self.wait()


def graphed(make, **options):
    return functools.partial(Graphed, make=functools.partial(make, **options))


CANDIDATES = {
    "linear": {"graph": graphed(WholeLinear)},
    "dense": {"graph, dense matrix": graphed(Dense)},
    "planar": {"graph": graphed(Network), "graph, bias and relu in the product": graphed(Network, epilogue=True)},
    "network": {"graph": graphed(Network), "graph, bias and relu in the product": graphed(Network, epilogue=True)},
    "spiking": {"graph": graphed(Spiking)},
    "training": {"fused Adam": Training, "fused Adam, graph": GraphedTraining},
}
